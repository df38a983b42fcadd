@_exported public import FoveaAttention
@_exported public import FoveaCore
@_exported public import FoveaEmbeddings
@_exported public import FoveaEvaluation
@_exported public import FoveaGeneration
@_exported public import FoveaModels
@_exported public import FoveaSafetensors
@_exported public import FoveaTokenizers
