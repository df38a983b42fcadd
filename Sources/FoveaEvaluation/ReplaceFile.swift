internal import FoveaSafetensors

/// Writes `text` to `path`, replacing what is there at once: whoever reads it finds the old text or the new one.
///
/// - Throws: ``EvaluationError`` if the system refuses to write.
func replaceFile(_ path: String, with text: String) throws(EvaluationError) {
  do throws(SafetensorsError) {
    var file = try ReplacementFile(path, overwriting: true)
    do throws(SafetensorsError) {
      var failure: SafetensorsError?
      var text = text
      text.withUTF8 { buffer in
        do throws(SafetensorsError) { try file.write(UnsafeRawBufferPointer(buffer)) } catch { failure = error }
      }
      if let failure { throw failure }
      try file.finish()
    } catch {
      file.discard()
      throw error
    }
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
