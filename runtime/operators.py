"""Operators of the standard ONNX set that a graph may use: tensors of numbers in, such tensors out.

What `admission` holds a file to. A network that needs another one adds it here, if it gives the
same numbers each time, its work and memory follow from its inputs' shapes, and `tools/fuzz` does
not make its kernel crash, as it does OneHot's. Inputs whose numbers say how large the output is are
listed below.
"""

_NAMES = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh Cast CastLike Ceil Celu Clip Cos Cosh Div Elu Equal Erf
Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less
LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid
Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan Tanh ThresholdedRelu Where Xor

ArgMax ArgMin CumSum Hardmax LogSoftmax ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Softmax TopK

Einsum Gemm MatMul MatMulInteger QLinearMatMul GRU LSTM RNN
AveragePool Conv ConvInteger ConvTranspose GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool
MaxPool QLinearConv

BatchNormalization GroupNormalization InstanceNormalization LayerNormalization LpNormalization
MeanVarianceNormalization RMSNormalization

Concat Constant ConstantOfShape DepthToSpace Expand EyeLike Flatten Gather GatherElements GatherND
Pad Range Reshape Resize ScatterElements ScatterND Shape Size Slice SpaceToDepth Split
Squeeze Tile Transpose Trilu Unsqueeze

DequantizeLinear DynamicQuantizeLinear QuantizeLinear
"""

OPERATORS = frozenset(_NAMES.split())

SHAPE_INPUTS: dict[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Tile": (1,),
    "TopK": (1,),
}
"""Inputs, by position, whose numbers decide the size of what comes out."""

_WITH_OPTIONS = """
Clip ConvInteger ConvTranspose Conv DequantizeLinear Gemm GRU LayerNormalization LSTM MatMulInteger
Pad QLinearConv QuantizeLinear ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
ReduceMin ReduceProd ReduceSum ReduceSumSquare Resize RNN Slice Split Squeeze Trilu
"""

MAY_LEAVE_OUT = frozenset(_WITH_OPTIONS.split())
"""Where an input in the middle may be left out, by an empty name; other kernels may crash of it."""

SHAPE_READERS = ("Shape", "Size")
"""What comes out of these follows from the size of what goes in, not from its numbers."""
