import BrokerProcess
import Foundation
import NuvomHistory
import Testing

/// The real process, killed with SIGKILL in the middle of its work, again and again on the same data: ten kills here, as many as one likes by
/// `nuvom-proof crash`.
@Suite(.serialized)
struct CrashTests {
  /// Runs a part of the proof: its exit status, and what it said.
  private func prove(_ arguments: [String]) throws -> (status: Int32, said: String) {
    let errors = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-proof-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: errors) }
    let (output, process) = try start(arguments, errors)
    let said = FileHandle(fileDescriptor: output.number, closeOnDealloc: false).readDataToEndOfFile()
    let status = process.waitForExit()
    let complaints = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
    return (status, String(decoding: said, as: UTF8.self) + complaints)
  }

  /// When this returns, only the program holds the pipe's writing end: what is read ends with it.
  private func start(_ arguments: [String], _ errors: URL) throws -> (FileDescriptor, SpawnedProcess) {
    let pipe = try FileDescriptor.pipe()
    let program = try SpawnedProcess.program("nuvom-proof", variable: "NUVOM_PROOF_BINARY")
    return (pipe.reading, try SpawnedProcess(program, arguments, output: pipe.writing, errors: errors))
  }

  @Test(
    "Ten times killed under load, the broker has lost nothing, repeated nothing, given no job to two, and left no due time out"
  )
  func tenKills() throws {
    let (status, said) = try prove(["crash", "--rounds", "10", "--seed", "6"])
    #expect(status == 0 && said.contains("\nok: crash\n"), "\(said)")
  }

  @Test("A history that breaks a promise is told of, with an exit status that scripts see")
  func complaint() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-\(UUID().uuidString).history")
    defer { try? FileManager.default.removeItem(at: file) }
    let bytes = Bytes()
    var writer = try HistoryWriter(client: "c") { bytes.data.append(contentsOf: $0) }
    var operation = History.Operation()
    operation.jobs = [History.NewJob(payload: 1)]
    try writer.note(.sent(request: 1, operation), at: 1)
    var answer = History.Answer()
    answer.ids = [2]
    try writer.note(.answered(request: 1, answer), at: 2)
    try bytes.data.write(to: file)
    #expect(try prove(["check", file.path]).status == 0)
    try writer.note(.saw(asked: 3, id: 2, nil), at: 4)
    try bytes.data.write(to: file)
    let (status, said) = try prove(["check", file.path])
    #expect(status == 1 && said.contains("FAILED: lost: job 0000000000000002 is lost"), "\(said)")
  }

  private final class Bytes { var data = Data() }
}
