import MessagePack
import NuvomModel
import NuvomWire
import Testing

/// The frames that `body` writes, decoded.
func frames(_ body: (inout MessageWriter) -> Void) throws -> [MessageValue] {
  var writer = MessageWriter()
  body(&writer)
  let bytes = writer.bytes
  return try bytes.withUnsafeBytes { bytes in
    var rest = bytes
    var frames: [MessageValue] = []
    while case .frame(let frame, let consumed) = FrameScanner.next(in: rest, maximumBytes: ProtocolLimits.frameBytes) {
      frames.append(try MessageValue(decoding: frame))
      rest = UnsafeRawBufferPointer(rebasing: rest[consumed...])
    }
    #expect(rest.isEmpty, "bytes behind the last frame")
    return frames
  }
}

/// The response to request 17.
func response(_ answer: Answer, outcome: borrowing Outcome = Outcome()) throws -> MessageValue? {
  var writer = MessageWriter()
  ResponseEncoder.encode(answer, to: RequestID(rawValue: 17), outcome: outcome, into: &writer)
  let encoded = writer.bytes
  let frames = try frames { copy in encoded.withUnsafeBytes { copy.raw($0) } }
  #expect(frames.count == 1)
  return frames.first
}

/// The response to request 17, where it is a large one.
func response(_ answer: LargeAnswer, outcome: consuming Outcome = Outcome()) throws -> MessageValue? {
  let answer = outcome.add(answer)
  return try response(answer, outcome: outcome)
}

/// An outcome with a few things in each list.
private func filledOutcome() -> Outcome {
  var outcome = Outcome()
  outcome.ids = [JobID(rawValue: 0), JobID(rawValue: 200), JobID(rawValue: .max)]
  outcome.indexes = [1, 300]
  outcome.refusals = [
    Refusal(id: JobID(rawValue: 5), token: LeaseToken(rawValue: 6), code: .leaseLost),
    Refusal(id: JobID(rawValue: 7), token: LeaseToken(rawValue: 0), code: .notFound),
  ]
  return outcome
}

private let leaseLost: MessageValue = [
  "id": 5, "token": 6, "code": "LEASE_LOST", "message": .string("\(ErrorCode.leaseLost.message)"),
]
private let notFound: MessageValue = [
  "id": 7, "code": "NOT_FOUND", "message": .string("\(ErrorCode.notFound.message)"),
]

@Test("Each answer has the shape of Protocol.md; what is empty is left out")
func answers() throws {
  let rows: [(Answer, MessageValue)] = [
    (.done, [:]),
    (.settled(refusals: 0..<0), [:]),
    (.settled(refusals: 0..<1), ["refused": [leaseLost]]),
    (.enqueued(ids: 0..<3, duplicates: 0..<0), ["ids": [0, 200, .uint(.max)]]),
    (.enqueued(ids: 1..<2, duplicates: 0..<2), ["ids": [200], "duplicates": [1, 300]]),
    (.delivered(deliveries: 0..<0, refusals: 0..<0), ["jobs": []]),
    (.delivered(deliveries: 0..<0, refusals: 0..<1), ["jobs": [], "refused": [leaseLost]]),
    (.cancelled(ids: 0..<2, leased: 0..<0, refusals: 0..<0), ["cancelled": [0, 200]]),
    (
      .cancelled(ids: 0..<2, leased: 1..<2, refusals: 1..<2),
      ["cancelled": [0, 200], "leased": [200], "refused": [notFound]]
    ),
    (.purged(count: 10_000, more: true), ["purged": 10_000, "more": true]),
    (.replayed(count: 1, more: false, refusals: 0..<0), ["replayed": 1, "more": false]),
    (.replayed(count: 0, more: false, refusals: 1..<2), ["replayed": 0, "more": false, "refused": [notFound]]),
    (.deleted(count: 2, more: true, refusals: 1..<2), ["deleted": 2, "more": true, "refused": [notFound]]),
  ]
  for (answer, result) in rows {
    let response = try response(answer, outcome: filledOutcome())
    #expect(response == [1, 17, nil, result])
  }
  let multi = LargeAnswer.results([.enqueued(ids: 0..<1, duplicates: 0..<0), .settled(refusals: 0..<0), .done])
  #expect(try response(multi, outcome: filledOutcome()) == [1, 17, nil, ["results": [["ids": [0]], [:], [:]]]])
}

@Test("Large answers are told apart, and forgotten with the others")
func largeAnswers() throws {
  var outcome = Outcome()
  let first = outcome.add(.queues([], next: nil))
  let second = outcome.add(.jobs([], next: nil))
  #expect(try response(first, outcome: outcome) == [1, 17, nil, ["queues": []]])
  #expect(try response(second, outcome: outcome) == [1, 17, nil, ["jobs": []]])
  outcome.removeAll()
  let isForgotten = outcome.large.isEmpty
  #expect(isForgotten)
}

@Test("Request numbers of every width come back")
func requestNumbers() throws {
  for number: UInt64 in [0, 127, 128, 255, 256, 65_535, 65_536, 1 << 32 - 1, 1 << 32, 1 << 63 - 1] {
    let frames = try frames {
      ResponseEncoder.encode(.done, to: RequestID(rawValue: number), outcome: Outcome(), into: &$0)
    }
    #expect(frames == [[1, .uint(number), nil, [:]]])
  }
}

@Test("The plainest response is nine bytes")
func plainBytes() {
  var writer = MessageWriter()
  ResponseEncoder.encode(.settled(refusals: 0..<0), to: RequestID(rawValue: 7), outcome: Outcome(), into: &writer)
  #expect(writer.bytes == [0, 0, 0, 5, 0x94, 1, 7, 0xC0, 0x80])
}

@Test("Responses are written one behind the other")
func several() throws {
  let frames = try frames { writer in
    ResponseEncoder.encode(.done, to: RequestID(rawValue: 1), outcome: Outcome(), into: &writer)
    ResponseEncoder.encodeRefusal(.notFound, to: RequestID(rawValue: 2), into: &writer)
    ResponseEncoder.encode(.done, to: RequestID(rawValue: 3), outcome: Outcome(), into: &writer)
    ResponseEncoder.encodeGoodbye(.shuttingDown, retryAfterMilliseconds: 500, into: &writer)
  }
  #expect(frames.map { $0[1] } == [1, 2, 3, "goodbye"])
}

@Test("A delivery has what was enqueued; what was not given is left out")
func deliveries() throws {
  let headers: [UInt8] = [0x81, 0xA1, 0x61, 0xA1, 0x62]
  let tags: [UInt8] = [0x91, 0xA1, 0x63]
  let payload = [UInt8](0...255)
  try headers.withUnsafeBytes { headers in
    try tags.withUnsafeBytes { tags in
      try payload.withUnsafeBytes { payload in
        try Array("mail".utf8).withUnsafeBytes { name in
          var full = Delivery(
            id: JobID(rawValue: .max), token: LeaseToken(rawValue: 1 << 63 - 1), attempt: .max, leaseMilliseconds: .max,
            timeoutMilliseconds: .max, postponed: .max, maximumAttempts: .max, queue: name, task: name,
            payload: payload,
            headers: headers, tags: tags)
          var outcome = Outcome()
          outcome.deliveries.append(full)
          full.timeoutMilliseconds = 0
          full.postponed = 0
          full.maximumAttempts = 3
          full.attempt = 1
          full.leaseMilliseconds = 30_000
          full.payload = .none
          full.headers = .none
          full.tags = .none
          outcome.deliveries.append(full)
          let minimal: MessageValue = [
            "id": .uint(.max), "token": .uint(1 << 63 - 1), "attempt": 1, "lease_ms": 30_000, "queue": "mail",
            "task": "mail", "payload": .binary([]),
          ]
          let complete: MessageValue = [
            "id": .uint(.max), "token": .uint(1 << 63 - 1), "attempt": 4_294_967_295, "lease_ms": 4_294_967_295,
            "queue": "mail", "task": "mail", "payload": .binary([UInt8](0...255)), "headers": ["a": "b"], "tags": ["c"],
            "timeout_ms": 4_294_967_295, "max_attempts": 65_535, "postponed": 4_294_967_295,
          ]
          let both = try response(.delivered(deliveries: 0..<2, refusals: 0..<0), outcome: outcome)
          #expect(both == [1, 17, nil, ["jobs": [complete, minimal]]])
          let second = try response(.delivered(deliveries: 1..<2, refusals: 0..<0), outcome: outcome)
          #expect(second == [1, 17, nil, ["jobs": [minimal]]])
        }
      }
    }
  }
}

@Test("Every error code travels with its message", arguments: ErrorCode.allCases)
func errorCodes(code: ErrorCode) throws {
  let error: MessageValue = ["code": .string("\(code.wireName)"), "message": .string("\(code.message)")]
  #expect(try response(.refused(code)) == [1, 17, error, nil])
  #expect(try frames { ResponseEncoder.encodeGoodbye(code, into: &$0) } == [[2, "goodbye", error]])
}

@Test("An error names operation, parameter and time to wait where it has them")
func errorDetails() throws {
  let full = MessageValue.string("\(ErrorCode.memoryFull.message)")
  #expect(
    try response(.refused(.memoryFull, operation: 3, retryAfterMilliseconds: 1_000)) == [
      1, 17, ["code": "MEMORY_FULL", "message": full, "operation": 3, "retry_after_ms": 1_000], nil,
    ])
  #expect(
    try frames { ResponseEncoder.encodeGoodbye(.memoryFull, retryAfterMilliseconds: 5, into: &$0) } == [
      [2, "goodbye", ["code": "MEMORY_FULL", "message": full, "retry_after_ms": 5]]
    ])
}

@Test("What the decoder refuses is answered with the parameter's name, to the request if it is known")
func decoderRefusals() throws {
  func answer(to message: MessageValue) throws -> [MessageValue] {
    let frame = try message.encoded()
    var decoder = RequestDecoder()
    var request = Request()
    return try frame.withUnsafeBytes { bytes in
      switch decoder.decode(bytes, into: &request) {
      case .request: []
      case .refused(let refusal), .fatal(let refusal): try frames { ResponseEncoder.encode(refusal, into: &$0) }
      }
    }
  }
  let wrong = MessageValue.string("\(ErrorCode.badParameters.message)")
  #expect(
    try answer(to: [0, 300, "enqueue", ["jobs": [["task": 5]]]]) == [
      [1, 300, ["code": "BAD_PARAMS", "message": wrong, "field": "jobs[0].task"], nil]
    ])
  #expect(
    try answer(to: [0, 1, "multi", ["operations": [["cancel", [:]]]]]) == [
      [1, 1, ["code": "BAD_PARAMS", "message": wrong, "field": "ids", "operation": 0], nil]
    ])
  #expect(try answer(to: [0, 5, "ping"]).first?[2]?["code"] == "MALFORMED_FRAME")
  #expect(try answer(to: [0, 5, "dance", [:]]).first?[2]?["code"] == "UNKNOWN_METHOD")
  #expect(try answer(to: [0, "5", "ping", [:]]) == [])
}

@Test("A hello is answered with the broker's version, limits and features")
func helloResult() throws {
  func hello(_ highest: RequestID?) throws -> [MessageValue] {
    try frames {
      ResponseEncoder.encodeHello(
        to: RequestID(rawValue: 1), server: "nuvom/0.1.0", partition: 3, features: ["multi", "wait"],
        highestRequestID: highest, into: &$0)
    }
  }
  var expected: [(MessageValue, MessageValue)] = [
    ("version", 1), ("server", "nuvom/0.1.0"), ("partition", 3), ("features", ["multi", "wait"]),
    ("max_frame_bytes", 16_777_216), ("highest_request_id", 0),
  ]
  #expect(try hello(nil) == [[1, 1, nil, .map(expected)]])
  expected[5].1 = 9_000
  #expect(try hello(RequestID(rawValue: 9_000)) == [[1, 1, nil, .map(expected)]])
}
