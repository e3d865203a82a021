import Testing

@testable import NuvomWorker

@Suite("Between a worker and its process")
struct ChildMessagesTests {
  @Test("a delivery arrives as it was")
  func delivery() throws {
    var job = LeasedJob(task: "t", payload: [0, 1, 255])
    job.id = JobID(rawValue: .max)
    job.token = LeaseToken(rawValue: 7)
    (job.attempt, job.maximumAttempts, job.postponed) = (2, 9, 3)
    job.lease = .milliseconds(1_234)
    job.timeout = .seconds(5)
    job.queue = "q"
    job.headers = ["a": .text("é"), "b": .bytes([0xFF])]
    job.tags = ["x", "y"]
    job.schedule = ScheduledFire(name: "nightly", dueAtMilliseconds: 1_800_000_000_000)
    let assignment = Assignment(job: LeasedJobMessage(job), timeLeft: .seconds(-1), trace: [:])
    guard case .run(let received) = try Self.sent(ChildOrder.run(assignment)) else {
      Issue.record("no order to run")
      return
    }
    #expect(received.job.job == job && received.timeLeft == .seconds(-1))
  }

  @Test("a job to enqueue arrives as it was", arguments: [true, false])
  func enqueued(isFull: Bool) throws {
    var job = Job(task: "t", queue: "q", payload: [1, 2])
    if isFull {
      job.headers = ["trace": "x"]
      job.tags = ["tag"]
      job.priority = 200
      job.start = .at(millisecondsSince1970: 1_800_000_000_000)
      job.expiry = .after(.seconds(90))
      job.maximumAttempts = 65_535
      job.backoff = .fixed(.milliseconds(3), jitterPercent: 7)
      job.timeout = .seconds(1)
      job.lease = .seconds(2)
      job.retention = .seconds(3)
      job.uniqueKey = Job.UniqueKey(bytes: [9, 9], window: .seconds(4))
    }
    guard case .finished(let outcome) = try Self.sent(ChildReport.finished(JobOutcome(following: [JobMessage(job)])))
    else {
      Issue.record("no outcome")
      return
    }
    #expect(outcome.following.map(\.job) == [job])
  }

  @Test("messages are found in pieces of any size, and what was printed before the first is told from them")
  func pieces() throws {
    let printed = [UInt8]("hello\u{0}nuvom chil\n\u{0}nu".utf8)
    let reports = try (0..<3).map {
      try ChildFrame.encode(ChildReport.progress(number: $0, percent: nil, message: "m"))
    }
    let bytes = printed + ChildFrame.mark + reports.joined()
    for size in [1, 2, 7, bytes.count] {
      var reader = ChildFrameReader()
      var (before, numbers, isMarkFound): ([UInt8], [Int], Bool) = ([], [], false)
      for start in stride(from: 0, to: bytes.count, by: size) {
        bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { reader.append($0) }
        if !isMarkFound {
          let taken = reader.takeBeforeMark()
          before += taken.bytes
          isMarkFound = taken.isMarkFound
        }
        while isMarkFound, let report = try reader.next(ChildReport.self) {
          if case .progress(let number, _, _) = report { numbers.append(number) }
        }
      }
      #expect(before == printed, "pieces of \(size)")
      #expect(numbers == [0, 1, 2], "pieces of \(size)")
    }
  }

  @Test("a length that lies is refused before anything is kept for it")
  func lyingLength() {
    var reader = ChildFrameReader()
    [UInt8](repeating: 0xFF, count: 4).withUnsafeBytes { reader.append($0) }
    #expect(throws: ChildFrame.TooLarge.self) { try reader.next(ChildReport.self) }
  }

  @Test("the end of what a process wrote is kept, in whole lines")
  func outputTail() {
    var output = OutputTail()
    for number in 0..<10_000 { [UInt8]("line \(number)\n".utf8).withUnsafeBytes { output.append($0) } }
    let lines = output.text.split(separator: "\n")
    #expect(lines.last == "line 9999" && lines.first?.hasPrefix("line ") == true)
    #expect((1_000...1_300).contains(lines.count))
  }

  private static func sent<Message: Codable>(_ message: Message) throws -> Message? {
    var reader = ChildFrameReader()
    try ChildFrame.encode(message).withUnsafeBytes { reader.append($0) }
    return try reader.next(Message.self)
  }
}
