import Glibc
import NuvomWorker

/// What a worker has done, in a file of its own: one line for each event, written before anything can follow from it. What a killed
/// process wrote stays.
package struct Journal: Sendable {
  /// What happened to a delivery.
  package enum Event: String, Sendable {
    /// The handler was called.
    case begun
    /// It returns next.
    case done
    /// It throws next.
    case failed
  }

  /// A line.
  package struct Entry: Sendable {
    package let event: Event
    package let job: UInt64
    package let token: UInt64
    package let attempt: Int
    /// Of a child: its parent's id, and the token of the parent's run. Else 0.
    package let parent: UInt64
    package let parentToken: UInt64

    init(_ event: Event, _ context: JobContext, parent: UInt64, parentToken: UInt64) {
      self.event = event
      job = context.id.rawValue
      token = context.token.rawValue
      attempt = context.attempt
      self.parent = parent
      self.parentToken = parentToken
    }

    /// Reads a line; nil if it is none.
    package init?(_ line: some StringProtocol) {
      let words = line.split(separator: " ")
      let numbers = words.dropFirst().compactMap { UInt64($0) }
      guard let event = words.first.flatMap({ Event(rawValue: String($0)) }), numbers.count == 5 else { return nil }
      self.event = event
      job = numbers[0]
      token = numbers[1]
      attempt = Int(numbers[2])
      parent = numbers[3]
      parentToken = numbers[4]
    }

    var line: String { "\(event) \(job) \(token) \(attempt) \(parent) \(parentToken)\n" }
  }

  private let file: Int32

  init?(path: String) {
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    if file < 0 { return nil }
  }

  /// Runs a handler, its beginning and end written down.
  /// - Returns: the token.
  func run(
    parent: UInt64 = 0, parentToken: UInt64 = 0, _ body: (JobContext) async throws -> Void
  ) async throws -> UInt64 {
    guard let context = JobContext.current else { throw PermanentError("a handler without a job") }
    note(Entry(.begun, context, parent: parent, parentToken: parentToken))
    do {
      try await body(context)
    } catch {
      note(Entry(.failed, context, parent: parent, parentToken: parentToken))
      throw error
    }
    note(Entry(.done, context, parent: parent, parentToken: parentToken))
    return context.token.rawValue
  }

  /// Writes a line, and tells the test by a byte of standard output that it did.
  private func note(_ entry: Entry) {
    let line = Array(entry.line.utf8)
    // A worker that cannot write down what it does proves nothing.
    guard write(file, line, line.count) == line.count, write(STDOUT_FILENO, line, 1) == 1 else { exit(74) }
  }
}
