import BrokerProcess
import CFaults
import Foundation
import Glibc

/// What is done to a file of the log, as the preloaded library sees it.
struct FileOperation: Sendable {
  let name: String
  let number: UInt32

  static let open = FileOperation("open", nuvom_operation_open)
  static let create = FileOperation("create", nuvom_operation_create)
  static let allocate = FileOperation("allocate", nuvom_operation_allocate)
  static let read = FileOperation("read", nuvom_operation_read)
  static let write = FileOperation("write", nuvom_operation_write)
  static let truncate = FileOperation("truncate", nuvom_operation_truncate)
  static let sync = FileOperation("sync", nuvom_operation_sync)
  static let rename = FileOperation("rename", nuvom_operation_rename)
  static let remove = FileOperation("remove", nuvom_operation_remove)
  static let syncDirectory = FileOperation("directory sync", nuvom_operation_sync_directory)
  static let reply = FileOperation("reply", nuvom_operation_reply)

  private init(_ name: String, _ number: Int) {
    self.name = name
    self.number = UInt32(number)
  }
}

/// Kinds of files in the log's directory.
struct FileKinds: OptionSet, Sendable {
  let rawValue: UInt32

  static let segment = FileKinds(nuvom_file_segment)
  static let spare = FileKinds(nuvom_file_spare)
  static let newSpare = FileKinds(nuvom_file_new_spare)
  static let firstSegment = FileKinds(nuvom_file_first_segment)
  static let snapshot = FileKinds(nuvom_file_snapshot)
  static let newSnapshot = FileKinds(nuvom_file_new_snapshot)
  static let socket = FileKinds(nuvom_file_socket)
  static let all = FileKinds(rawValue: (1 << UInt32(nuvom_file_count)) - 1)

  init(rawValue: UInt32) { self.rawValue = rawValue }
  private init(_ file: Int) { rawValue = 1 << UInt32(file) }
}

/// A named place in the broker's work with its disk, at which it can be killed.
struct FailPoint: Sendable, CustomStringConvertible {
  enum Moment: Sendable { case before, half, after }

  let description: String
  let number: UInt32

  init(_ name: String, _ kind: FileKinds, _ operation: FileOperation, _ moment: Moment) {
    description = name
    let moment =
      switch moment {
      case .before: nuvom_moment_before
      case .half: nuvom_moment_half
      case .after: nuvom_moment_after
      }
    number = nuvom_point(UInt32(kind.rawValue.trailingZeroBitCount), operation.number, UInt32(moment))
  }
}

/// An operation that is to fail.
struct Fault: Sendable, CustomStringConvertible {
  let operation: FileOperation
  let kinds: FileKinds
  let error: Int32
  /// The how manyth such operation it is, from when it is ordered.
  let occurrence: Int
  /// Whether all that follow fail, too.
  let isSticky: Bool
  /// What the files are called in what is printed.
  let place: String

  var description: String {
    "\(error == ENOSPC ? "ENOSPC" : "EIO") at \(place) \(operation.name) \(occurrence)\(isSticky ? " and all after" : "")"
  }
}

/// The page of memory by which a broker is told what is to go wrong, and tells what did.
///
/// `@unchecked Sendable`: each field is read and written as a whole, as the other process does.
final class FaultPage: @unchecked Sendable {
  let path: String
  private let page: UnsafeMutablePointer<nuvom_faults>

  init(in folder: URL) throws {
    path = folder.appendingPathComponent("faults").path
    let size = MemoryLayout<nuvom_faults>.size
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw BrokerFailure("open \(path): \(errno)") }
    defer { close(descriptor) }
    guard ftruncate(descriptor, size) == 0,
      let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), mapped != MAP_FAILED
    else { throw BrokerFailure("cannot map \(path): \(errno)") }
    page = mapped.bindMemory(to: nuvom_faults.self, capacity: 1)
  }

  deinit { munmap(page, MemoryLayout<nuvom_faults>.size) }

  /// What an environment needs for a broker on this data to listen to this page.
  func environment(data: URL) throws -> [String: String] {
    [
      "LD_PRELOAD": try SpawnedProcess.program("libnuvom-faults.so", variable: "NUVOM_FAULTS_LIBRARY"),
      "NUVOM_FAULTS_PAGE": path, "NUVOM_FAULTS_DIRECTORY": data.path,
    ]
  }

  func order(_ fault: Fault) {
    page.pointee.failures = 0
    page.pointee.failed_files.0 = 0
    page.pointee.failed_at_nanoseconds = 0
    nuvom_faults_fail(
      page, fault.operation.number, fault.kinds.rawValue, UInt32(fault.error), UInt32(fault.occurrence),
      fault.isSticky ? 1 : 0)
  }

  func orderKill(at point: FailPoint, occurrence: Int) {
    page.pointee.was_killed = 0
    nuvom_faults_kill(page, point.number, UInt32(occurrence))
  }

  /// Nothing goes wrong from here on, but for the clock.
  func callOff() {
    nuvom_faults_fail(page, 0, 0, 0, 0, 0)
    nuvom_faults_kill(page, 0, 0)
    isFull = false
  }

  /// Whether the broker has killed itself as it was told.
  var wasKilled: Bool { nuvom_faults_load(&page.pointee.was_killed) != 0 }
  /// How often the point was met, since the page was made.
  func met(_ point: FailPoint) -> Int { Int(nuvom_faults_met(page, point.number)) }
  /// How often the operation was begun on any file.
  func met(_ operation: FileOperation) -> Int {
    (0..<UInt32(nuvom_file_count)).reduce(0) { sum, file in
      sum + Int(nuvom_faults_met(page, nuvom_point(file, operation.number, UInt32(nuvom_moment_before))))
    }
  }
  /// How many operations were made to fail since the last order.
  var failures: Int { Int(nuvom_faults_load(&page.pointee.failures)) }
  /// When the last of them did, by CLOCK_MONOTONIC; nil if none did.
  var failedAt: Int64? {
    let time = nuvom_faults_load(&page.pointee.failed_at_nanoseconds)
    return time == 0 ? nil : Int64(time)
  }
  /// And of which files of the directory, of the first fifty or so.
  var failedFiles: [String] {
    withUnsafePointer(to: &page.pointee.failed_files) { tuple in
      tuple.withMemoryRebound(to: CChar.self, capacity: 1_024) { String(cString: $0) }
    }.split(separator: "\n").map(String.init)
  }

  var isFull: Bool {
    get { nuvom_faults_load(&page.pointee.is_full) != 0 }
    set { nuvom_faults_store(&page.pointee.is_full, newValue ? 1 : 0) }
  }

  /// How far the broker's wall clock is from the machine's.
  var wallOffsetMicroseconds: Int64 {
    get { page.pointee.wall_offset_microseconds }
    set { page.pointee.wall_offset_microseconds = newValue }
  }
}

/// The clock that nobody sets, in nanoseconds.
func monotonicNanoseconds() -> Int64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}
