import MessagePack
import NuvomConnection
import NuvomModel
import Testing

@Suite("Opening")
struct OpeningTests {
  @Test("requests wait for hello, then go out in their order")
  func requestsWaitForHello() {
    var talk = Conversation()
    talk.submit(.enqueue)
    talk.expect()
    talk.machine.start(now: 0)
    talk.expect("connect")
    talk.submit(.get)
    talk.machine.connected(now: 0)
    talk.expect("send 0 hello")
    talk.welcome()
    talk.expect("opened, 0 again", "send 2 get", "send 1 enqueue")
    talk.result(2, ["state": "ready"])
    talk.result(1, ["ids": [7]])
    talk.expect("answer 2 {\"state\": \"ready\"}", "answer 1 {\"ids\": [7]}")
  }

  @Test("hello carries version and client id, and fits in the frame that is allowed before it")
  func helloSaysWhoItIs() throws {
    var talk = Conversation { $0.name = "shop" }
    talk.machine.start(now: 0)
    talk.machine.connected(now: 0)
    talk.expect("connect", "send 0 hello")
    talk.machine.start(now: 0)
    talk.expect()
  }

  @Test("hello that is not answered is given up, and connecting too")
  func slowHello() {
    var talk = Conversation { $0.connectTimeout = 1_000_000 }
    talk.machine.start(now: 0)
    talk.pass(999_999)
    talk.expect("connect")
    talk.pass(1)
    talk.expect("disconnect", "lost: UNREACHABLE")
    talk.pass(100_000)
    talk.expect("connect")
    talk.machine.connected(now: talk.now)
    talk.pass(1_000_000)
    talk.expect("send 0 hello", "disconnect", "lost: UNREACHABLE")
  }

  @Test(
    "what the broker says to hello",
    arguments: [
      (ErrorCode.unsupportedVersion, ["disconnect", "answer 1 UNSUPPORTED_VERSION", "closed: UNSUPPORTED_VERSION"]),
      (.unauthorized, ["disconnect", "answer 1 UNAUTHORIZED", "closed: UNAUTHORIZED"]),
      (.badParameters, ["disconnect", "answer 1 BAD_PARAMS", "closed: BAD_PARAMS"]),
      (.tooManyConnections, ["disconnect", "lost: TOO_MANY_CONNECTIONS"]),
      (.shuttingDown, ["disconnect", "lost: SHUTTING_DOWN"]),
    ])
  func helloRefused(code: ErrorCode, wanted: [String]) {
    var talk = Conversation()
    talk.submit(.enqueue)
    talk.machine.start(now: 0)
    talk.machine.connected(now: 0)
    talk.expect("connect", "send 0 hello")
    talk.refuse(0, code)
    talk.expectAll(wanted)
  }

  @Test("a broker of another version ends the client")
  func otherVersion() {
    var talk = Conversation()
    talk.machine.start(now: 0)
    talk.machine.connected(now: 0)
    talk.welcome(version: 2)
    talk.expect("connect", "send 0 hello", "disconnect", "closed: UNSUPPORTED_VERSION")
    talk.submit(.ping)
    talk.expect("answer 1 UNSUPPORTED_VERSION")
  }
}

@Suite("Answers")
struct AnswerTests {
  @Test("are matched by number, in any order, and however the bytes are cut")
  func anyOrderAnyCut() {
    var talk = Conversation.open()
    for _ in 1...3 { talk.submit(.get) }
    talk.expect("send 1 get", "send 2 get", "send 3 get")
    let all = frame([1, 3, nil, "c"]) + frame([1, 1, nil, "a"]) + frame([1, 2, nil, "b"])
    for byte in all { talk.bytes([byte]) }
    talk.expect("answer 3 \"c\"", "answer 1 \"a\"", "answer 2 \"b\"")
  }

  @Test("keep all that an error says")
  func errorFields() {
    var talk = Conversation.open()
    talk.submit(.multi)
    talk.expect("send 1 multi")
    talk.broker([
      1, 1,
      ["code": "NEW_CODE", "message": "m", "field": "jobs", "operation": 4, "retry_after_ms": 250, "later": [1]], nil,
    ])
    let failure = Failure(
      code: "NEW_CODE", message: "m", field: "jobs", operation: 4, retryAfterMilliseconds: 250)
    #expect(talk.machine.nextAction() == .answer(RequestID(rawValue: 1), .failure(failure)))
  }

  @Test("that no broker gives end the connection, and the request is asked again", arguments: AnswerTests.wrongBytes)
  func brokenProtocol(_ bytes: [UInt8]) {
    var talk = Conversation.open()
    talk.submit(.get)
    talk.expect("send 1 get")
    talk.bytes(bytes)
    talk.expect("disconnect", "lost: BROKER_PROTOCOL")
    talk.bytes(frame([1, 1, nil, "late"]))
    talk.expect()
    talk.reconnect()
    talk.expect("connect", "send 0 hello", "opened, 1 again", "send 1 get")
  }

  static let wrongBytes: [[UInt8]] = [
    [0, 0, 0, 0],
    [0xFF, 0xFF, 0xFF, 0xFF],
    [0, 0, 0, 1, 0xC1],
    [0, 0, 0, 6, 0x94, 0xDD, 0xFF, 0xFF, 0xFF, 0xFF],
    Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8),
    frame([1, 99, nil, [:]]),
    frame([1, 0, nil, ["version": 1]]),
    frame([1, 1, "text", nil]),
    frame([1, 1, [:], nil]),
    frame([1, -1, nil, [:]]),
    frame([0, 1, "ping", [:]]),
    frame([1, 1, nil]),
    frame(7),
    frame([2, "goodbye", nil]),
  ]

  @Test("of later versions are passed over")
  func unknownNotification() {
    var talk = Conversation.open()
    talk.submit(.get)
    talk.broker([2, "news", ["a": 1]])
    talk.result(1)
    talk.expect("send 1 get", "answer 1 {}")
  }
}

@Suite("Retries")
struct RetryTests {
  @Test("unanswered requests go out again in order, under their numbers; answered ones do not")
  func resend() {
    var talk = Conversation.open()
    talk.submit(.enqueue)
    talk.submit(.get)
    talk.submit(.ack)
    talk.submit(.dequeue, settles: true, wait: 1_000)
    talk.result(1)
    talk.expect("send 1 enqueue", "send 2 get", "send 3 ack", "send 4 dequeue", "answer 1 {}")
    talk.machine.connectionLost("reset", now: 0)
    talk.submit(.enqueue)
    talk.expect("disconnect", "lost: UNREACHABLE")
    talk.reconnect()
    talk.expect(
      "connect", "send 0 hello", "opened, 3 again", "send 2 get", "send 3 ack", "send 4 dequeue", "send 5 enqueue")
  }

  @Test("the broker's stopping is no answer: the request is sent again to the broker that comes back")
  func shuttingDown() {
    var talk = Conversation.open()
    talk.submit(.enqueue)
    talk.submit(.ack)
    talk.refuse(1, .shuttingDown, retryAfter: 1_000)
    talk.refuse(2, .storageUnknown)
    talk.expect("send 1 enqueue", "send 2 ack")
    talk.goodbye(.shuttingDown, retryAfter: 1_000)
    talk.expect("disconnect", "lost: SHUTTING_DOWN")
    talk.pass(999_999)
    talk.expect()
    talk.pass(1)
    talk.greet()
    talk.expect("connect", "send 0 hello", "opened, 2 again", "send 1 enqueue", "send 2 ack")
  }

  @Test(
    "which refusals reach the caller",
    arguments: [
      ErrorCode.badParameters, .unknownMethod, .limitExceeded, .notFound, .finished, .leaseLost, .cancelled,
      .memoryFull, .diskFull, .requestForgotten, .unauthorized, .crossPartition, .redirect, .malformedFrame,
      .frameTooLarge,
    ])
  func refusals(_ code: ErrorCode) {
    var talk = Conversation.open()
    talk.submit(.enqueue)
    talk.refuse(1, code)
    talk.expect("send 1 enqueue", "answer 1 \(code.wireName)")
  }

  @Test(
    "what a goodbye means for the client and its request",
    arguments: [
      (ErrorCode.idleTimeout, ["disconnect", "lost: IDLE_TIMEOUT"]),
      (.slowReader, ["disconnect", "lost: SLOW_READER"]),
      (.storageUnknown, ["disconnect", "lost: STORAGE_UNKNOWN"]),
      (.malformedFrame, ["answer 1 MALFORMED_FRAME", "disconnect", "lost: MALFORMED_FRAME"]),
      (.limitExceeded, ["answer 1 LIMIT_EXCEEDED", "disconnect", "lost: LIMIT_EXCEEDED"]),
      (.replaced, ["disconnect", "answer 1 REPLACED", "closed: REPLACED"]),
    ])
  func goodbyes(code: ErrorCode, wanted: [String]) {
    var talk = Conversation.open()
    talk.submit(.enqueue)
    talk.expect("send 1 enqueue")
    talk.goodbye(code)
    talk.expectAll(wanted)
  }

  @Test("a request that ended the connection by name does not take the others with it")
  func namedCulprit() {
    var talk = Conversation.open()
    talk.submit(.enqueue)
    talk.submit(.get)
    talk.refuse(1, .frameTooLarge)
    talk.goodbye(.frameTooLarge)
    talk.expect("send 1 enqueue", "send 2 get", "answer 1 FRAME_TOO_LARGE", "disconnect", "lost: FRAME_TOO_LARGE")
    talk.reconnect()
    talk.expect("connect", "send 0 hello", "opened, 1 again", "send 2 get")
  }

  @Test("after nine minutes away a change that was sent is not repeated; what changes nothing, or was not sent, is")
  func awayTooLong() {
    var talk = Conversation.open()
    talk.submit(.enqueue, timeout: .max)
    talk.submit(.get, timeout: .max)
    talk.machine.connectionLost("reset", now: 0)
    talk.submit(.ack, timeout: .max)
    talk.expect("send 1 enqueue", "send 2 get", "disconnect", "lost: UNREACHABLE")
    talk.now = 540_000_001
    talk.machine.timePassed(now: talk.now)
    talk.greet()
    talk.expect(
      "connect", "send 0 hello", "answer 1 REQUEST_FORGOTTEN", "opened, 1 again", "send 2 get", "send 3 ack")
  }

  @Test("waits between attempts double up to the cap, shortened by up to half, and begin anew after hello")
  func backoff() {
    var talk = Conversation()
    talk.machine.start(now: 0)
    var full: Int64 = 50_000
    for _ in 1...10 {
      talk.machine.connectionLost("refused", now: talk.now)
      let wait = (talk.machine.nextDeadline ?? 0) - talk.now
      #expect(wait >= full / 2 && wait <= full)
      talk.pass(wait)
      full = min(full * 2, 5_000_000)
    }
    talk.machine.connected(now: talk.now)
    talk.welcome()
    talk.machine.connectionLost("reset", now: talk.now)
    #expect((talk.machine.nextDeadline ?? 0) - talk.now <= 50_000)
  }

  @Test("without reconnecting, the first loss is the end")
  func noReconnect() {
    var talk = Conversation { $0.reconnects = false }
    talk.submit(.ping)
    talk.machine.start(now: 0)
    talk.machine.connectionLost("refused", now: 0)
    talk.expect("connect", "disconnect", "answer 1 UNREACHABLE", "closed: UNREACHABLE")
    #expect(talk.machine.nextDeadline == nil)
  }

  @Test("without reconnecting, the broker's stopping is an answer")
  func noReconnectShuttingDown() {
    var talk = Conversation.open { $0.reconnects = false }
    talk.submit(.enqueue)
    talk.refuse(1, .shuttingDown)
    talk.expect("send 1 enqueue", "answer 1 SHUTTING_DOWN")
  }
}

@Suite("The window")
struct WindowTests {
  @Test("holds back changes over its size, lets others pass, and moves on with each answer")
  func holdsBack() {
    var talk = Conversation.open { $0.window = 2 }
    for _ in 1...4 { talk.submit(.enqueue) }
    talk.submit(.extend)
    talk.expect("send 1 enqueue", "send 2 enqueue", "send 5 extend")
    talk.result(5)
    talk.expect("answer 5 {}")
    talk.result(1)
    talk.expect("answer 1 {}", "send 3 enqueue")
    talk.refuse(2, .memoryFull)
    talk.expect("answer 2 MEMORY_FULL", "send 4 enqueue")
  }

  @Test("counts what is sent again")
  func countsResent() {
    var talk = Conversation.open { $0.window = 2 }
    for _ in 1...3 { talk.submit(.enqueue) }
    talk.machine.connectionLost("reset", now: 0)
    talk.expect("send 1 enqueue", "send 2 enqueue", "disconnect", "lost: UNREACHABLE")
    talk.reconnect()
    talk.expect("connect", "send 0 hello", "opened, 2 again", "send 1 enqueue", "send 2 enqueue")
    talk.result(1)
    talk.expect("answer 1 {}", "send 3 enqueue")
  }

  @Test("a cancelled change keeps its place until it is answered")
  func cancelledCounts() {
    var talk = Conversation.open { $0.window = 1 }
    talk.submit(.enqueue)
    talk.submit(.enqueue)
    talk.machine.cancel(RequestID(rawValue: 1))
    talk.expect("send 1 enqueue")
    talk.result(1)
    talk.expect("send 2 enqueue")
  }

  @Test("is a thousand, and a thousand and first change waits")
  func isAThousand() {
    var talk = Conversation.open()
    for _ in 1...1_001 { talk.submit(.enqueue) }
    var sent = 0
    while talk.machine.nextAction() != nil { sent += 1 }
    #expect(sent == 1_000)
  }
}

@Suite("Cancellation and time limits")
struct CancellationTests {
  @Test("a request that was not sent is not sent any more")
  func cancelledBeforeSending() {
    var talk = Conversation()
    let id = talk.submit(.enqueue)
    talk.machine.cancel(id)
    talk.machine.start(now: 0)
    talk.machine.connected(now: 0)
    talk.welcome()
    talk.expect("connect", "send 0 hello", "opened, 0 again")
  }

  @Test("an answer that nobody wants is dropped, and not asked for again")
  func droppedAnswer() {
    var talk = Conversation.open()
    let first = talk.submit(.get)
    talk.submit(.get)
    talk.machine.cancel(first)
    talk.machine.cancel(first)
    talk.result(1)
    talk.expect("send 1 get", "send 2 get")
    talk.machine.cancel(RequestID(rawValue: 2))
    talk.machine.connectionLost("reset", now: 0)
    talk.expect("disconnect", "lost: UNREACHABLE")
    talk.reconnect()
    talk.expect("connect", "send 0 hello", "opened, 0 again")
  }

  @Test("the jobs of a cancelled dequeue are released, and the release survives a lost connection")
  func releasesDeliveries() {
    var talk = Conversation.open()
    let id = talk.submit(.dequeue, wait: 30_000)
    talk.machine.cancel(id)
    talk.expect("send 1 dequeue")
    talk.result(1, ["jobs": [["id": 8, "token": 3, "task": "t"], ["token": 4, "id": 9]]])
    let release = "send 2 release {\"jobs\": [{\"id\": 8, \"token\": 3}, {\"id\": 9, \"token\": 4}]}"
    talk.expect("released 2", release)
    talk.machine.connectionLost("reset", now: 0)
    talk.reconnect()
    talk.expect("disconnect", "lost: UNREACHABLE", "connect", "send 0 hello", "opened, 1 again", release)
    talk.result(2)
    talk.expect()
  }

  @Test("a cancelled dequeue that brings nothing needs no release")
  func nothingToRelease() {
    var talk = Conversation.open()
    let id = talk.submit(.dequeue, wait: 30_000)
    talk.machine.cancel(id)
    talk.result(1, ["jobs": []])
    talk.expect("send 1 dequeue")
  }

  @Test("the time limit ends a request, connected or not, and says which; the broker's wait is on top")
  func timeLimits() {
    var talk = Conversation.open()
    talk.submit(.get, timeout: 1_000_000)
    talk.submit(.wait, wait: 5_000, timeout: 1_000_000)
    talk.expect("send 1 get", "send 2 wait")
    talk.pass(999_999)
    talk.expect()
    talk.pass(1)
    talk.expect("answer 1 TIMEOUT")
    talk.machine.connectionLost("reset", now: talk.now)
    talk.expect("disconnect", "lost: UNREACHABLE")
    talk.machine.timePassed(now: 5_999_999)
    talk.expect("connect")
    talk.machine.timePassed(now: 6_000_000)
    talk.expect("answer 2 UNREACHABLE")
  }

  @Test("the jobs of a dequeue that timed out are released")
  func timedOutDequeue() {
    var talk = Conversation.open()
    talk.submit(.dequeue, timeout: 1_000_000)
    talk.pass(1_000_000)
    talk.result(1, ["jobs": [["id": 8, "token": 3]]])
    talk.expect(
      "send 1 dequeue", "answer 1 TIMEOUT", "released 1", "send 2 release {\"jobs\": [{\"id\": 8, \"token\": 3}]}")
  }

  @Test("before start, the time limit says that the client does not run")
  func notRunning() {
    var talk = Conversation()
    talk.submit(.ping, timeout: 1)
    talk.pass(1)
    talk.expect("answer 1 UNREACHABLE")
  }

  @Test("waits and time limits beyond all numbers are no time limit")
  func hugeTimes() {
    var talk = Conversation.open { $0.pingAfter = .max }
    talk.submit(.wait, wait: .max, timeout: .max)
    talk.pass(1_000_000_000)
    talk.expect("send 1 wait")
  }
}

@Suite("Silence")
struct SilenceTests {
  @Test("is broken by a ping, and more of it ends the connection")
  func pingThenLoss() {
    var talk = Conversation.open()
    talk.pass(30_000_000)
    talk.expect("send 1 ping")
    talk.result(1)
    talk.expect()
    talk.pass(30_000_000)
    talk.expect("send 2 ping")
    talk.pass(14_999_999)
    talk.expect()
    talk.pass(1)
    talk.expect("disconnect", "lost: UNREACHABLE")
    talk.reconnect()
    talk.expect("connect", "send 0 hello", "opened, 0 again")
  }
}

@Suite("Shutting down")
struct ShutdownTests {
  @Test("waits for answers, takes no more requests, and ends waits at once")
  func drains() {
    var talk = Conversation.open()
    talk.submit(.enqueue)
    talk.submit(.dequeue, wait: 30_000)
    talk.expect("send 1 enqueue", "send 2 dequeue")
    talk.machine.shutDown(deadline: 10_000_000, now: 0)
    talk.submit(.get)
    talk.expect("answer 2 CLOSED", "answer 3 CLOSED")
    talk.result(1)
    talk.expect("answer 1 {}", "disconnect", "closed")
    talk.submit(.get)
    talk.expect("answer 4 CLOSED")
  }

  @Test("goes on through a lost connection until the deadline")
  func drainsAcrossReconnect() {
    var talk = Conversation.open()
    talk.submit(.enqueue)
    talk.machine.shutDown(deadline: 10_000_000, now: 0)
    talk.machine.connectionLost("reset", now: 0)
    talk.reconnect()
    talk.expect(
      "send 1 enqueue", "disconnect", "lost: UNREACHABLE", "connect", "send 0 hello", "opened, 1 again",
      "send 1 enqueue")
    talk.pass(10_000_000)
    talk.expect("disconnect", "answer 1 CLOSED", "closed")
  }

  @Test("is immediate when nothing is in flight, before start, and when it may not wait")
  func immediate() {
    var idle = Conversation.open()
    idle.machine.shutDown(deadline: 10_000_000, now: 0)
    idle.expect("disconnect", "closed")
    var unstarted = Conversation()
    unstarted.submit(.get)
    unstarted.machine.shutDown(deadline: 10_000_000, now: 0)
    unstarted.expect("answer 1 CLOSED", "closed")
    var hasty = Conversation.open()
    hasty.submit(.get)
    hasty.machine.shutDown(deadline: 10_000_000, now: 0)
    hasty.machine.shutDown(deadline: 0, now: 0)
    hasty.expect("send 1 get", "disconnect", "answer 1 CLOSED", "closed")
  }

  @Test("gives back deliveries that arrive on the way")
  func releasesOnTheWay() {
    var talk = Conversation.open()
    talk.submit(.dequeue, wait: 30_000)
    talk.submit(.ack)
    talk.machine.shutDown(deadline: 10_000_000, now: 0)
    talk.result(1, ["jobs": [["id": 8, "token": 3]]])
    talk.result(2)
    talk.expect(
      "send 1 dequeue", "send 2 ack", "answer 1 CLOSED", "released 1",
      "send 3 release {\"jobs\": [{\"id\": 8, \"token\": 3}]}", "answer 2 {}")
    talk.result(3)
    talk.expect("disconnect", "closed")
  }
}

@Suite("Request frames")
struct RequestFrameTests {
  @Test(
    "are refused before they cost the connection",
    arguments: [(1_000, 0, nil), (16 << 20, 0, "FRAME_TOO_LARGE"), (0, 262_145, "LIMIT_EXCEEDED")])
  func violations(bytes: Int, elements: Int, code: String?) {
    let frame = RequestFrame(.enqueue) { writer in
      writer.mapHeader(2)
      writer.literal("a")
      writer.binary([UInt8](repeating: 0, count: bytes))
      writer.literal("b")
      writer.arrayHeader(elements)
      for _ in 0..<elements { writer.uint(1) }
    }
    #expect(frame.violation?.code == code)
  }
}
