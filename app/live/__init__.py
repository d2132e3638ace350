"""`soloist live`, and what belongs to it.

- `command`: the command; `options`: its options; `session`: what plays, watched until its end
- `view`: plain lines; `terminal`, `screen`, `level_bars`, `keys`, `desk`: on a terminal
- `events`: for programs
- `patching`, `sound_system`, `virtual_cable`: where its devices are found, or made
- `presets`, `preset_keys`: what is kept to be played again; `last_session`: what became of it
"""
