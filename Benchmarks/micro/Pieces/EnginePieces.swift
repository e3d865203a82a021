import NuvomEngine
import NuvomModel

extension Piece {
  static let engine =
    [
      Piece("engine-turn", "a turn in which nothing happens, and the next deadline") {
        let core = try Core(jobs: 1_000)
        return { count in
          for _ in 0..<count {
            core.inTurn {}
            try expect(core.engine.nextDeadline.boot == nil, "something is due")
          }
        }
      }
    ] + [(jobs: 1_000, size: "1e3"), (jobs: 100_000, size: "1e5")].flatMap(standing) + [
      enqueue("engine-enqueue-64", "a turn with an enqueue of 64 jobs", jobs: 64, standing: 1_000, repetitions: few),
      dequeueAck(
        "engine-dequeue-ack-64", "a turn with a dequeue of up to 64 jobs that acks 64", jobs: 64, standing: 1_000,
        repetitions: few),
      enqueueDequeueAck(
        "engine-cycle-remembered", "as engine-cycle-1e3, for a client that retries safely", standing: 1_000,
        clientID: "client"),
      Piece("engine-delayed", "a turn with an enqueue of a job that waits 10 ms, and the timer of an earlier one") {
        let core = try Core(jobs: 1_000)
        let request = Place(Request())
        core.prepareEnqueue(&request.pointer.pointee, jobs: 1, start: .after(milliseconds: 10))
        return { count in
          for _ in 0..<count {
            core.beginTurn(after: 128)
            _ = core.engine.fireTimers(limit: 2_000, into: &core.outcome.pointer.pointee)
            core.handle(request)
            core.forgetOutcome()
            core.endTurn()
          }
          let statistics = core.engine.statistics()
          try expect(statistics.delayed < 100 && statistics.ready > 1_000, "the timers did not fire")
        }
      },
    ]

  private static func standing(_ jobs: Int, _ size: String) -> [Piece] {
    [
      enqueue("engine-enqueue-\(size)", "a turn with an enqueue of one job; \(jobs) jobs are there", standing: jobs),
      dequeueAck(
        "engine-dequeue-ack-\(size)", "a turn with a dequeue of one job that acks the one before", standing: jobs),
      enqueueDequeueAck("engine-cycle-\(size)", "both turns", standing: jobs),
    ]
  }

  private static func enqueue(
    _ name: String, _ summary: String, jobs: Int = 1, standing: Int, repetitions: Range<Int> = 1_000..<9_000
  ) -> Piece {
    Piece(name, summary, repetitions: repetitions) {
      let core = try Core(jobs: standing)
      let request = Place(Request())
      core.prepareEnqueue(&request.pointer.pointee, jobs: jobs)
      return { count in
        for _ in 0..<count {
          core.inTurn { core.handle(request) }
          try expect(core.outcome.pointer.pointee.ids.count == jobs, "the job was refused")
          core.forgetOutcome()
        }
      }
    }
  }

  private static func dequeueAck(
    _ name: String, _ summary: String, jobs: Int = 1, standing: Int, repetitions: Range<Int> = 1_000..<9_000
  ) -> Piece {
    Piece(name, summary, repetitions: repetitions) {
      // So many are taken.
      let core = try Core(jobs: standing + jobs * repetitions.upperBound)
      let request = Place(Request())
      core.prepareDequeue(&request.pointer.pointee, maximum: jobs)
      return { count in
        for _ in 0..<count {
          core.inTurn { core.handle(request) }
          try expect(core.outcome.pointer.pointee.deliveries.count == jobs, "there was no job")
          core.acknowledgeDelivered(in: request)
          core.forgetOutcome()
        }
        try expect(core.engine.statistics().leased == jobs, "the acks were refused")
      }
    }
  }

  private static func enqueueDequeueAck(
    _ name: String, _ summary: String, standing: Int, clientID: String? = nil
  ) -> Piece {
    Piece(name, summary) {
      let core = try Core(jobs: standing, clientID: clientID)
      let enqueue = Place(Request())
      let dequeue = Place(Request())
      core.prepareEnqueue(&enqueue.pointer.pointee, jobs: 1)
      core.prepareDequeue(&dequeue.pointer.pointee, maximum: 1)
      let number = Place<UInt64>(1_000_000)
      return { count in
        for _ in 0..<count {
          number.pointer.pointee += 2
          enqueue.pointer.pointee.id = RequestID(rawValue: number.pointer.pointee)
          dequeue.pointer.pointee.id = RequestID(rawValue: number.pointer.pointee + 1)
          core.inTurn { core.handle(enqueue) }
          core.forgetOutcome()
          core.inTurn { core.handle(dequeue) }
          try expect(core.outcome.pointer.pointee.deliveries.count == 1, "there was no job")
          core.acknowledgeDelivered(in: dequeue)
          core.forgetOutcome()
        }
        let statistics = core.engine.statistics()
        try expect(statistics.leased == 1 && statistics.ready == standing, "the acks were refused")
      }
    }
  }
}
