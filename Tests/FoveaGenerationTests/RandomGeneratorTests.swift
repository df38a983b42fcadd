import Fovea
import Testing

@Suite struct RandomGeneratorTests {
  // From an independent implementation of the published algorithms.
  @Test(
    arguments: [
      (0, [0x99EC_5F36_CB75_F2B4, 0xBF6E_1F78_4956_452A, 0x1A5F_849D_4933_E6E0, 0x6AA5_94F1_262D_2D2C]),
      (42, [0x1578_0B2E_0C2E_C716, 0x6104_D986_6D11_3A7E, 0xAE17_5332_39E4_99A1, 0xECB8_AD47_03B3_60A1]),
    ] as [(UInt64, [UInt64])])
  func givesThePublishedSequence(seed: UInt64, expected: [UInt64]) {
    var random = RandomGenerator(seed: seed)
    #expect((0..<4).map { _ in random.next() } == expected)
  }

  @Test func unitNumbersLieBelowOne() {
    var random = RandomGenerator(seed: 7)
    var sum = 0.0
    for _ in 0..<10_000 {
      let value = random.nextUnit()
      #expect(value >= 0 && value < 1)
      sum += value
    }
    #expect(abs(sum / 10_000 - 0.5) <= 0.01)
  }
}
