internal import FoveaSafetensors

/// Writes `text` to `path`, replacing what is there at once: whoever reads it finds the old text or the new one.
///
/// - Throws: ``EvaluationError`` if the system refuses to write.
func replaceFile(_ path: String, with text: String) throws(EvaluationError) {
  do throws(SafetensorsError) {
    try ReplacementFile.write(text, to: path)
  } catch {
    throw EvaluationError(.unwritableFile, file: path, error.message)
  }
}

/// Checks that a file can be written to `path`, before much time is spent on what goes into it.
///
/// - Throws: ``EvaluationError`` if the system refuses.
public func checkWritable(_ path: String) throws(EvaluationError) {
  do throws(SafetensorsError) {
    var file = try ReplacementFile(path, overwriting: true)
    file.discard()
  } catch {
    throw EvaluationError(.unwritableFile, file: path, error.message)
  }
}
