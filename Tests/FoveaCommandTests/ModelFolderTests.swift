import Foundation
import FoveaTestSupport
import Testing

@Suite struct ModelFolderTests {
  @Test func namesAreFoundInTheCaches() throws {
    try withTemporaryFolder { folder in
      let files = FileManager.default
      let hub = folder + "/hub"
      let repository = hub + "/models--Some-Org--a.model"
      try files.createDirectory(atPath: repository + "/snapshots", withIntermediateDirectories: true)
      try files.createDirectory(atPath: repository + "/refs", withIntermediateDirectories: true)
      try files.createSymbolicLink(
        atPath: repository + "/snapshots/abc123", withDestinationPath: FoveaExecutable.bundledModel)
      let environment = ["HF_HUB_CACHE": hub, "FOVEA_CACHE": folder + "/own"]
      func inspect(_ model: String) throws -> FoveaExecutable.Output {
        try FoveaExecutable.run(["inspect", "--model", model, "--json"], environment: environment)
      }
      // The only snapshot, then the one that main names.
      #expect(try inspect("Some-Org/a.model").status == 0)
      try writeFile("abc123\n", to: repository + "/refs/main")
      #expect(try inspect("Some-Org/a.model").status == 0)
      try writeFile("gone", to: repository + "/refs/main")
      let gone = try inspect("Some-Org/a.model")
      #expect(gone.status == 66 && gone.errors.contains("models--Some-Org--a.model"), "\(gone.errors)")

      try files.createDirectory(atPath: folder + "/own/models", withIntermediateDirectories: true)
      try files.createSymbolicLink(
        atPath: folder + "/own/models/tiny", withDestinationPath: FoveaExecutable.bundledModel)
      #expect(try inspect("tiny").status == 0)
      let absent = try inspect("none")
      #expect(absent.status == 66 && absent.errors.contains("own/models/none"), "\(absent.errors)")
      #expect(try inspect("../tiny").status == 66)
    }
  }
}
