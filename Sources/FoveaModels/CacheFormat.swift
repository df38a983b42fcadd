public import FoveaCore

/// In which form a cache holds keys and values.
public struct CacheFormat: Sendable, Hashable, CustomStringConvertible {
  /// The type of what is not in codes: float32, float16 or bfloat16; nil: the model's own.
  public var elementType: ElementType?
  /// How keys and values are held in codes; nil: they are not.
  public var quantization: CacheQuantization?

  /// The types that there are.
  public static let elementTypes = [ElementType.float32, .float16, .bfloat16]

  /// The model's type and no codes, unless something else is given.
  public init(elementType: ElementType? = nil, quantization: CacheQuantization? = nil) {
    self.elementType = elementType
    self.quantization = quantization
  }

  /// The type and the codes, as far as they are given.
  public var description: String {
    [elementType.map { "\($0)" }, quantization?.description].compactMap { $0 }.joined(separator: ", ")
  }

  /// - Throws: ``ModelError`` for a type that caches cannot have.
  func check() throws(ModelError) {
    guard let elementType, !Self.elementTypes.contains(elementType) else { return }
    throw ModelError(.invalidCacheSize, "a cache of type \(elementType): expected float32, float16 or bfloat16")
  }
}
