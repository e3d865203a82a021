import Glibc
import MessagePack
import NuvomHistory
import SeededNumbers

/// Makes schedules: fifty at first, which fire again and again, then without end some that fire once, and some that are deleted, made again and triggered.
struct Definer: Role {
  private let index: Int
  private let clients: Clients
  private var numbers: SeededNumbers
  private var made = 0

  init(index: Int, seed: UInt64, clients: Clients) {
    self.index = index
    self.clients = clients
    numbers = SeededNumbers(seed: seed &* 1_000 &+ 100 &+ UInt64(index))
  }

  var isFinished: Bool { clients.state.withLock { $0.isStopping } }

  /// A schedule in the words of the wire, and in those of the history.
  private struct Wire {
    var fields: [(MessageValue, MessageValue)]
    var definition: History.Definition

    /// `step`: milliseconds from one due time to the next, or 0.
    init(_ name: String, _ times: (MessageValue, MessageValue), step: UInt64, _ overlap: String) {
      let payload = Array(name.utf8)
      fields = [
        ("name", .string(name)), times, ("misfire", "all"), ("catch_up_ms", 3_600_000), ("overlap", .string(overlap)),
        (
          "job",
          [
            "queue": "fires", "task": "tick", "max_attempts": 65_535, "backoff_base_ms": 0, "payload": .binary(payload),
          ]
        ),
      ]
      definition = History.Definition(name: name, payload: History.digest(of: payload))
      definition.stepMilliseconds = step
      definition.firesAll = overlap == "allow"
      definition.cancelsPrevious = overlap == "cancel_previous"
    }
  }

  mutating func send(_ line: RecordingLine) throws {
    if !line.unanswered.isEmpty { return }
    if clients.state.withLock({ $0.isStopping }) { return }
    made += 1
    if made == 1 { return try define(regular(), line) }
    usleep(5_000)
    let extra = "extra-\(index)-\(numbers.below(5))"
    switch made % 20 {
    case 5: try define([Wire(extra, ("every_ms", 50), step: 50, "allow")], line)
    case 10:
      try send("schedule_trigger", line) {
        $0.triggers = [extra]
      } names: {
        $0.triggers
      }
    case 15:
      try send("schedule_delete", line) {
        $0.deletes = [extra]
      } names: {
        $0.deletes
      }
    default:
      try define([Wire("once-\(index)-\(made)", ("in_ms", .uint(UInt64(numbers.below(40)))), step: 0, "allow")], line)
    }
  }

  /// Intervals, crons, and what a fire does while the job before is not finished.
  private func regular() -> [Wire] {
    (0..<50).map { place in
      let name = "regular-\(index)-\(place)"
      switch place {
      case 0..<40:
        let step = UInt64(200 + 20 * place)
        return Wire(name, ("every_ms", .uint(step)), step: step, "allow")
      case 40..<45: return Wire(name, ("cron", "* * * * * *"), step: 1_000, "allow")
      case 45, 46: return Wire(name, ("every_ms", 150), step: 150, "skip")
      case 47: return Wire(name, ("every_ms", 150), step: 150, "buffer_one")
      default: return Wire(name, ("every_ms", 150), step: 150, "cancel_previous")
      }
    }
  }

  private func define(_ schedules: [Wire], _ line: RecordingLine) throws {
    var operation = History.Operation()
    operation.definitions = schedules.map(\.definition)
    try line.send("schedule", [("schedules", .array(schedules.map { .map($0.fields) }))], operation)
  }

  private func send(
    _ method: String, _ line: RecordingLine, _ build: (inout History.Operation) -> Void,
    names: (History.Operation) -> [String]
  ) throws {
    var operation = History.Operation()
    build(&operation)
    try line.send(method, [("names", .array(names(operation).map { .string($0) }))], operation)
  }

  mutating func take(_ answer: History.Answer, to request: RecordingLine.Request, _ message: MessageValue) throws {
    let names = request.operation?.definitions.map(\.name) ?? []
    clients.state.withLock { state in
      state.jobs.formUnion(answer.ids)
      if answer.error == nil { state.schedules += names }
    }
  }
}
