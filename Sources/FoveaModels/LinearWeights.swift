internal import CFoveaKernels
internal import FoveaCore

/// A matrix `[outputSize, inputSize]` as it lies in the checkpoint, with its bias, and the copy that products read instead
/// if there is one.
///
/// A class, since a token hands its matrices around hundreds of times: one reference is counted and not that of every
/// tensor.
final class LinearWeights: Sendable {
  let matrix: WeightMatrix
  /// `[outputSize]` float32, or nil.
  let bias: Tensor?
  /// What products read instead of the matrix.
  let packed: PackedWeights?
  /// Addresses in the tensors above, which never change.
  nonisolated(unsafe) let kernelWeights: KernelWeights

  init(matrix: WeightMatrix, bias: Tensor? = nil, packed: PackedWeights? = nil) {
    self.matrix = matrix
    self.bias = bias
    self.packed = packed
    kernelWeights = KernelWeights(matrix, bias: bias, packed: packed)
  }

  var outputSize: Int { kernelWeights.outputSize }
  var inputSize: Int { kernelWeights.inputSize }

  /// What products read.
  var tensors: [Tensor] { packed.map { [$0.tensor] } ?? matrix.tensors }

  var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }
}

/// What kernels read of a matrix, without the references of its tensors: those would be counted for every product of
/// every token.
struct KernelWeights {
  let base: UnsafeMutableRawPointer
  let element: fovea_element
  let elementByteCount: Int
  let bias: UnsafePointer<Float>?
  let outputSize: Int
  let inputSize: Int
  /// Of quantised weights, with the form in which activations meet them.
  let codes: (matrix: fovea_quantized_matrix, form: CodeForm)?
  /// A copy that is read instead of all these.
  let packed: PackedMatrix?

  init(_ matrix: WeightMatrix, bias: Tensor?, packed: PackedWeights?) {
    base = matrix.tensor.baseAddress
    element = matrix.elementType.kernelElement
    elementByteCount = matrix.tensor.elementType.byteCount
    self.bias = bias.map { UnsafePointer($0.baseAddress.assumingMemoryBound(to: Float.self)) }
    outputSize = matrix.rowCount
    inputSize = matrix.columnCount
    codes = matrix.codes.map { (matrix.kernelMatrix($0, from: 0), CodeForm($0.scheme)) }
    self.packed = packed?.matrix
  }

  /// Pieces of the product begin with multiples of so many columns.
  var columnAlignment: Int { packed == nil ? ColumnCut.standardAlignment : PackedMatrix.columnsPerPiece }

  /// The product kernel for activations of that type; nil if the tables have none for the pair.
  func kernel(_ kernels: UnsafePointer<fovea_kernels>, activationType: fovea_element) -> fovea_linear_kernel? {
    let rows = activationType == FOVEA_BFLOAT16 ? kernels.pointee.linear.2 : kernels.pointee.linear.0
    switch element {
    case FOVEA_FLOAT16: return rows.1
    case FOVEA_BFLOAT16: return rows.2
    default: return rows.0
    }
  }
}

/// Rows of activations of one type in memory that a ``Workspace`` owns.
struct ActivationRows {
  var base: UnsafeMutableRawPointer
  var type: ElementType
  /// Elements from one row to the next.
  var stride: Int
  var count: Int
  /// Whether they may be rounded to bytes where they meet quantised weights.
  var roundsToCodes = false

  func row(_ index: Int) -> UnsafeMutableRawPointer { base + index * stride * type.byteCount }

  /// Whether the rows are so few that preparing them takes one thread less time than a barrier, and waiting for what
  /// other threads have written of them counts.
  var areFew: Bool { count < 4 }

  /// Asks for few rows, all at once.
  func fetchFew() {
    if areFew { fovea_fetch(base, count * stride * type.byteCount) }
  }

  /// The rows as float32, which they must be.
  func floats(_ index: Int = 0) -> UnsafeMutablePointer<Float> { row(index).assumingMemoryBound(to: Float.self) }
}

/// A product of a phase and where its float32 results go: `[rows, outputSize]`.
struct LinearProduct {
  var weights: LinearWeights
  var outputs: UnsafeMutablePointer<Float>
  var outputStride: Int
}

extension ComputeStream {
  /// outputs = activations · weightsᵀ + bias, as one phase.
  func multiply(_ activations: ActivationRows, _ product: LinearProduct, accumulates: Bool = false) {
    multiply(prepare(activations, for: CollectionOfOne(product.weights)), product, accumulates: accumulates)
  }

  /// The same of inputs that are prepared.
  func multiply(_ inputs: ProductInputs, _ product: LinearProduct, accumulates: Bool = false) {
    // A token has hundreds of these phases, and what one thread does alone here the others wait for: no allocations.
    let prepared = PreparedProduct(product.weights, inputs, kernels: kernelTable)
    let rowCount = inputs.activations.count
    let cut = ColumnCut(
      columnCount: product.weights.outputSize, rowCount: rowCount, threadCount: threadCount,
      alignment: product.weights.kernelWeights.columnAlignment)
    let (outputs, outputStride) = (product.outputs, product.outputStride)
    let scratchByteCount = prepared.scratchByteCount(columnCount: cut.longest)
    forEachPiece(of: cut, scratchByteCount: scratchByteCount) { rows, columns, scratch in
      prepared.multiply(
        rows: rows, columns: columns, outputs: outputs + rows.lowerBound * outputStride + columns.lowerBound,
        outputStride: outputStride, accumulates: accumulates, scratch: scratch)
    }
    withExtendedLifetime(product.weights) {}
  }

  /// Several products of the same activations, as one phase.
  func multiply(_ activations: ActivationRows, _ products: [LinearProduct]) {
    let inputs = prepare(activations, for: products.lazy.map(\.weights))
    let placed = products.map { product in
      (
        product: PreparedProduct(product.weights, inputs, kernels: kernelTable), outputs: product.outputs,
        stride: product.outputStride
      )
    }
    let pieces = GroupPieces(products.map(\.weights), rowCount: activations.count, threadCount: threadCount)
    let scratchByteCount = placed.reduce(0) { max($0, $1.product.scratchByteCount(columnCount: pieces.cut.longest)) }
    forEachPiece(of: pieces.cut, scratchByteCount: scratchByteCount) { rows, columns, scratch in
      pieces.forEachPart(of: columns) { index, columns in
        let (product, outputs, stride) = placed[index]
        product.multiply(
          rows: rows, columns: columns, outputs: outputs + rows.lowerBound * stride + columns.lowerBound,
          outputStride: stride, scratch: scratch)
      }
    }
    withExtendedLifetime(products) {}
  }
}
