import BrokerProcess
import Foundation

/// A real broker whose disk and clock do what a page says. Its data is in memory unless `below` says otherwise: what is tried is the broker.
struct FaultyBroker {
  let process: BrokerProcess
  let page: FaultPage

  /// Makes one that is still to be started.
  init(below parent: URL = FaultyBroker.memory, options: [String] = []) throws {
    let folder = parent.appendingPathComponent("nuvom-proof-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    page = try FaultPage(in: folder)
    process = BrokerProcess(
      in: folder, options: options, environment: try page.environment(data: folder.appendingPathComponent("data")))
  }

  /// One that is to be started on a copy of another's log.
  init(copyOf data: URL) throws {
    try self.init()
    try FileManager.default.copyItem(at: data, to: process.data)
  }

  /// A file system in memory, where there is one.
  static let memory =
    FileManager.default.isWritableFile(atPath: "/dev/shm")
    ? URL(fileURLWithPath: "/dev/shm") : FileManager.default.temporaryDirectory

  /// Waits for the broker's end for `seconds`: what it ended with, and when by CLOCK_MONOTONIC; nil if it goes on.
  func end(within seconds: Double) -> (status: Int32, at: Int64)? {
    let limit = monotonicNanoseconds() + Int64(seconds * 1e9)
    while process.isRunning {
      if monotonicNanoseconds() > limit { return nil }
      usleep(500)
    }
    let time = monotonicNanoseconds()
    return (process.waitForExit(), time)
  }
}
