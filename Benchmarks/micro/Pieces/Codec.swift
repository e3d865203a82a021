import MessagePack
import NuvomModel
import NuvomWire

extension Piece {
  static let codec = [
    decode("codec-decode-enqueue", "frame and request: enqueue of one job") { Frames.enqueue(jobs: 1) },
    decode("codec-decode-enqueue-100", "the same with 100 jobs", repetitions: few) { Frames.enqueue(jobs: 100) },
    decode("codec-decode-dequeue", "dequeue of one job, which may wait") { Frames.dequeue() },
    decode("codec-decode-dequeue-ack", "the same, bringing an ack") { Frames.dequeue(acking: Frames.settlement) },
    decode("codec-decode-ack", "ack of one job") { Frames.ack(Frames.settlement) },
    encode("codec-encode-enqueued", "answer to an enqueue: one id") { Answers.enqueued(1) },
    encode("codec-encode-enqueued-100", "100 ids", repetitions: few) { Answers.enqueued(100) },
    encode("codec-encode-delivered", "answer to a dequeue: one job") { Answers.delivered(1) },
    encode("codec-encode-delivered-100", "100 jobs", repetitions: few) { Answers.delivered(100) },
    encode("codec-encode-settled", "answer to an ack") { Answers.settled() },
  ]

  private static func decode(
    _ name: String, _ summary: String, repetitions: Range<Int> = 1_000..<9_000,
    of frame: @escaping @Sendable () -> [UInt8]
  ) -> Piece {
    Piece(name, summary, repetitions: repetitions) {
      let bytes = Bytes(frame())
      let decoder = Place(RequestDecoder())
      let request = Place(Request())
      return { count in
        for _ in 0..<count {
          guard
            case .frame(let frame, _) = FrameScanner.next(
              in: bytes.borrowed, maximumBytes: ProtocolLimits.frameBytes),
            case .request = decoder.pointer.pointee.decode(frame, into: &request.pointer.pointee)
          else { throw WrongWork("the frame was refused") }
        }
      }
    }
  }

  private static func encode(
    _ name: String, _ summary: String, repetitions: Range<Int> = 1_000..<9_000,
    of answers: @escaping @Sendable () -> Answers
  ) -> Piece {
    Piece(name, summary, repetitions: repetitions) {
      let answers = answers()
      let writer = Place(MessageWriter())
      return { count in
        for _ in 0..<count {
          writer.pointer.pointee.removeAll()
          for index in answers.outcome.pointer.pointee.responses.indices {
            ResponseEncoder.encode(
              answers.outcome.pointer.pointee.responses[index].answer,
              to: answers.outcome.pointer.pointee.responses[index].address.request,
              outcome: answers.outcome.pointer.pointee, into: &writer.pointer.pointee)
          }
        }
        try expect(writer.pointer.pointee.count > 4, "nothing was encoded")
      }
    }
  }
}

/// What an engine wants to be told, without an engine.
private final class Answers {
  let outcome = Place(Outcome())
  private let queue = Bytes(Array(Frames.queue.utf8))
  private let payload = Bytes(Frames.payload)

  private func add(_ answer: Answer) -> Self {
    let address = Address(connection: ConnectionID(rawValue: 1), request: RequestID(rawValue: 1_000_000))
    outcome.pointer.pointee.responses.append((address, answer))
    return self
  }

  private static func id(_ index: Int) -> JobID {
    JobID(partition: 0, generation: 1_000, slot: 70_000 + UInt32(truncatingIfNeeded: index))
  }

  static func enqueued(_ count: Int) -> Answers {
    let answers = Answers()
    for index in 0..<count { answers.outcome.pointer.pointee.ids.append(id(index)) }
    return answers.add(.enqueued(ids: 0..<count, duplicates: 0..<0))
  }

  static func delivered(_ count: Int) -> Answers {
    let answers = Answers()
    for index in 0..<count {
      answers.outcome.pointer.pointee.deliveries.append(
        Delivery(
          id: id(index), token: LeaseToken(rawValue: UInt64(70_000_000 + index)), attempt: 1,
          leaseMilliseconds: 30_000, timeoutMilliseconds: 0, maximumAttempts: 3, queue: answers.queue.borrowed,
          task: answers.queue.borrowed, payload: answers.payload.borrowed, headers: .none, tags: .none))
    }
    return answers.add(.delivered(deliveries: 0..<count, refusals: 0..<0))
  }

  static func settled() -> Answers { Answers().add(.settled(refusals: 0..<0)) }
}
