import BrokerProcess
import Glibc
import MessagePack

/// One connection that sends request after request, first without taking an answer, then taking all of them. Every tenth request enqueues a job.
struct Pipeline {
  let connection: RawConnection
  let requests: Int

  /// Sends until the broker has taken nothing for two seconds; then goes on, and takes every answer. What it says when the time has come to look at the
  /// broker's memory goes to `told`.
  func run(_ told: (String) -> Void) throws {
    try connection.hello()
    var next = 0
    var unsent: [UInt8] = []
    var blockedSince: Int64?
    while next < requests || !unsent.isEmpty {
      try refill(&unsent, &next)
      let sent = connection.sendWhatFits(unsent)
      unsent.removeFirst(sent)
      if sent > 0 {
        blockedSince = nil
        continue
      }
      let now = monotonicMicroseconds()
      if let since = blockedSince, now - since > 2_000_000 { break }
      blockedSince = blockedSince ?? now
      usleep(1_000)
    }
    told("blocked \(next)")
    usleep(1_000_000)
    told("reading")
    var answered = 0
    while answered < requests {
      try refill(&unsent, &next)
      if !unsent.isEmpty { unsent.removeFirst(connection.sendWhatFits(unsent)) }
      // Never more than what the broker owes: a blocking read of an answer that is under way.
      guard let answer = try connection.receive() else { throw BrokerFailure("closed after \(answered) answers") }
      guard answer[0] == 1, answer[1] == .uint(UInt64(answered + 1)), answer[2] == .null else {
        throw BrokerFailure("answer \(answered + 1) is \(answer)")
      }
      if Self.enqueues(answered), answer[3]?["ids"]?[0] == nil { throw BrokerFailure("no id in \(answer)") }
      answered += 1
    }
    told("answered \(answered)")
  }

  static func enqueues(_ index: Int) -> Bool { index % 10 == 9 }

  private func refill(_ unsent: inout [UInt8], _ next: inout Int) throws {
    while next < requests, unsent.count < 65_536 {
      let id = UInt64(next + 1)
      unsent +=
        Self.enqueues(next)
        ? try Stranger.request(id, "enqueue", ["jobs": [["queue": "pipeline", "task": "t"]]])
        : try Stranger.request(id, "ping")
      next += 1
    }
  }
}
