import FoveaCore
import FoveaTestSupport
import Testing

@Suite struct TensorTests {
  @Test("views share elements; copies do not change them")
  func views() {
    let tensor = Tensor((0..<24).map(Float.init), shape: [2, 3, 4])
    #expect(tensor.transposed([2, 0, 1]).shape == [4, 2, 3])
    #expect(tensor.transposed([2, 0, 1]).floats()[..<6] == [0, 4, 8, 12, 16, 20])
    #expect(tensor.sliced(axis: 1, 1..<3).floats() == [4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23])
    #expect(tensor.sliced(axis: 1, 1..<3).transposed([0, 2, 1]).reshaped([16]).floats()[..<4] == [4, 8, 5, 9])
    #expect(!tensor.sliced(axis: 1, 1..<3).isContiguous && tensor.isContiguous)
    #expect(tensor.sliced(axis: 0, 1..<1).floats().isEmpty)
    #expect(Tensor([5], shape: []).floats() == [5])
  }

  @Test("broadcasting follows NumPy's rules")
  func broadcasting() {
    let row = Tensor([1, 2, 3], shape: [3])
    #expect(row.broadcast(to: [2, 3])?.floats() == [1, 2, 3, 1, 2, 3])
    #expect(Tensor([1, 2], shape: [2, 1]).broadcast(to: [2, 3])?.floats() == [1, 1, 1, 2, 2, 2])
    #expect(row.broadcast(to: [2, 4]) == nil)
    #expect(row.broadcast(to: []) == nil)
  }

  @Test("values are rounded to the element type, ties to even")
  func rounding() {
    #expect(
      Tensor([1 + 1.0 / 256, 1 + 3.0 / 256], shape: [2], elementType: .bfloat16).doubles() == [1, 1 + 4.0 / 256])
    #expect(Tensor([65504, 65520, 6e-8], shape: [3], elementType: .float16).doubles() == [65504, .infinity, 0x1p-24])
    #expect(BFloat16(.nan).bitPattern & 0x7F80 == 0x7F80 && Float(BFloat16(.nan)).isNaN)
    #expect(Float(BFloat16(.infinity)) == .infinity)
  }

  @Test("types promote as in MLX")
  func promotion() {
    #expect(ElementType.float16.promoted(with: .bfloat16) == .float32)
    #expect(ElementType.bfloat16.promoted(with: .bfloat16) == .bfloat16)
    #expect(ElementType.float16.promoted(with: .float32) == .float32)
    #expect(ElementType.float64.promoted(with: .float16) == .float64)
    #expect(ElementType.int32.promoted(with: .float32) == nil)
  }

  @Test("a view that leaves its storage is a programming error")
  func outOfBounds() async {
    await #expect(processExitsWith: .failure) {
      let tensor = Tensor(zeros: [4])
      _ = Tensor(storage: tensor.storage, byteOffset: 4, elementType: .float32, shape: [4])
    }
  }
}
