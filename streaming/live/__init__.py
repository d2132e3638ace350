"""Live: the engine between the devices of a machine. The engine knows nothing of this folder.

- `process`, `child`, `plan`, `report`: live play in a process of its own, and what is said across
- `stream`: an engine between two devices; `worker`: on a thread beside their callback
- `routes`: by PortAudio (`devices`, `duplex`) or by JACK (`jack_stream`, `jack_graph`)
- `clock_bridge`, `drift`: from one device's clock to another's
- `pulse`, `virtual_cable`: what PulseAudio and PipeWire have between programs
- `levels`, `meters`, `budget`: what is measured and shown
- `recorder`, `tape`, `wav`: what is kept
- `quiet`: the collector of garbage, kept quiet; `simulation`: devices without hardware
"""
