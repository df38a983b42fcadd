// swift-tools-version: 6.3
import PackageDescription

// MARK: Settings

/// `FOVEA_STRICT=1` (set by .ci/run) turns every warning into an error; dependents never see it.
let strictSettings: [SwiftSetting] =
  Context.environment["FOVEA_STRICT"] == nil ? [] : [.treatAllWarnings(as: .error)]

let swiftSettings: [SwiftSetting] =
  [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
  ] + strictSettings

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["FoveaTestSupport"], resources: resources, swiftSettings: swiftSettings)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

// MARK: Package

let package = Package(
  name: "Fovea",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Fovea", targets: ["Fovea"]),
    .library(name: "FoveaAttention", targets: ["FoveaAttention"]),
    .library(name: "FoveaEmbeddings", targets: ["FoveaEmbeddings"]),
    .library(name: "FoveaSafetensors", targets: ["FoveaSafetensors"]),
    .library(name: "FoveaTokenizers", targets: ["FoveaTokenizers"]),
    .library(name: "FoveaC", type: .dynamic, targets: ["FoveaC"]),
    .executable(name: "fovea", targets: ["FoveaCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    // MARK: C and C++
    .target(name: "CFoveaKernels"),
    .systemLibrary(
      name: "SentencePieceLibrary", pkgConfig: "sentencepiece",
      providers: [.apt(["libsentencepiece-dev"]), .brew(["sentencepiece"])]),
    .target(name: "CSentencePiece", dependencies: ["SentencePieceLibrary"]),
    .systemLibrary(
      name: "PCRE2Library", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"]), .brew(["pcre2"])]),
    .target(name: "CPCRE2", dependencies: ["PCRE2Library"]),
    .target(name: "CFovea"),

    // MARK: Libraries, lowest first
    library("FoveaCore", ["CFoveaKernels"]),
    library("FoveaAttention", ["FoveaCore", "CFoveaKernels"]),
    library("FoveaSafetensors", ["FoveaCore"]),
    library("FoveaTokenizers", ["FoveaCore", "CSentencePiece", "CPCRE2"]),
    library("FoveaModels", ["FoveaCore", "FoveaAttention", "FoveaSafetensors", "CFoveaKernels"]),
    library("FoveaGeneration", ["FoveaModels", "FoveaTokenizers"]),
    library("FoveaEmbeddings", ["FoveaModels", "FoveaTokenizers", "FoveaSafetensors", "FoveaCore"]),
    library("FoveaEvaluation", ["FoveaModels", "FoveaTokenizers", "FoveaSafetensors", "FoveaCore"]),
    library(
      "Fovea",
      [
        "FoveaCore", "FoveaAttention", "FoveaSafetensors", "FoveaTokenizers", "FoveaModels", "FoveaGeneration",
        "FoveaEmbeddings", "FoveaEvaluation",
      ]),
    library(
      "FoveaC",
      [
        "Fovea", "FoveaCore", "FoveaAttention", "FoveaTokenizers", "FoveaModels", "FoveaGeneration", "FoveaEmbeddings",
        "CFovea",
      ]),
    library("FoveaTestSupport", ["FoveaCore", "FoveaSafetensors"]),

    // MARK: Command line
    .executableTarget(
      name: "FoveaCommand", dependencies: ["Fovea", argumentParser], swiftSettings: swiftSettings),

    // MARK: Tests
    tests("FoveaCoreTests", ["FoveaCore", "CFoveaKernels"]),
    tests("FoveaAttentionTests", ["FoveaAttention", "CFoveaKernels"]),
    tests("FoveaSafetensorsTests", ["FoveaSafetensors"], resources: [.copy("Fixtures")]),
    tests("FoveaTokenizersTests", ["FoveaTokenizers"], resources: [.copy("Fixtures")]),
    tests(
      "FoveaModelsTests", ["FoveaModels", "FoveaEvaluation", "FoveaSafetensors", "FoveaTokenizers"],
      resources: [.copy("Fixtures")]),
    tests(
      "FoveaEmbeddingsTests", ["FoveaEmbeddings", "FoveaModels", "FoveaSafetensors"], resources: [.copy("Fixtures")]),
    tests("FoveaEvaluationTests", ["FoveaEvaluation", "FoveaModels", "FoveaTokenizers"]),
    tests("FoveaGenerationTests", ["FoveaGeneration", "Fovea"]),
    tests(
      "FoveaCTests",
      [
        "FoveaC", "CFovea", "FoveaAttention", "FoveaModels", "FoveaTokenizers", "FoveaGeneration", "FoveaEmbeddings",
      ]),
    tests("FoveaCommandTests", ["Fovea"], resources: [.copy("Snapshots")]),
  ],
  cLanguageStandard: .c17,
  cxxLanguageStandard: .cxx17
)
