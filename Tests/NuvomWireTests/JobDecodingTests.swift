import MessagePack
import NuvomModel
import NuvomWire
import Testing

/// A job with every parameter.
let fullJob: MessageValue = [
  "queue": "mail", "task": "send", "payload": .binary([1, 2, 3]), "headers": ["trace": "abc", "raw": .binary([0xFF])],
  "tags": ["red", "blue"], "priority": 1, "delay_ms": 250, "expires_at_ms": 1_800_000_000_000, "max_attempts": 7,
  "backoff": "fixed", "backoff_base_ms": 100, "backoff_cap_ms": 200, "jitter_percent": 0, "timeout_ms": 60_000,
  "lease_ms": 90_000, "retention_ms": 3_600_000, "unique_key": "k", "unique_ms": 5,
]

@Test("A job of which only the task is given has the protocol's defaults")
func minimalJob() throws {
  try withRequest("enqueue", ["jobs": [["task": "t"]]]) { request in
    #expect(request.id.rawValue == 17)
    #expect(request.method == .enqueue)
    let job = try #require(request.jobs.first)
    #expect(job.queue.text == "default")
    #expect(job.task.text == "t")
    #expect(job.payload.isEmpty && job.headers.isEmpty && job.tags.isEmpty && job.uniqueKey.isEmpty)
    #expect(job.priority == 5)
    #expect(job.start == .unspecified && job.expiry == .unspecified)
    #expect(job.maximumAttempts == 3)
    #expect(job.backoff.growth == .exponential)
    #expect(job.backoff.baseMilliseconds == 1_000)
    #expect(job.backoff.capMilliseconds == 600_000)
    #expect(job.backoff.jitterPercent == 10)
    #expect(job.timeoutMilliseconds == 0 && job.leaseMilliseconds == 0 && job.retentionMilliseconds == 0)
    #expect(job.uniqueMilliseconds == 3_600_000)
  }
}

@Test("Each parameter of a job arrives where it belongs; headers and tags as they were encoded")
func completeJob() throws {
  try withRequest("enqueue", ["jobs": [["task": "other"], fullJob]]) { request in
    #expect(request.jobs.count == 2)
    let job = try #require(request.jobs.last)
    #expect(job.queue.text == "mail")
    #expect(job.task.text == "send")
    #expect(Array(job.payload) == [1, 2, 3])
    #expect(try MessageValue(decoding: job.headers) == ["trace": "abc", "raw": .binary([0xFF])])
    #expect(try MessageValue(decoding: job.tags) == ["red", "blue"])
    #expect(job.priority == 1)
    #expect(job.start == .after(milliseconds: 250))
    #expect(job.expiry == .at(milliseconds: 1_800_000_000_000))
    #expect(job.maximumAttempts == 7)
    #expect(job.backoff == Backoff(growth: .fixed, baseMilliseconds: 100, capMilliseconds: 200, jitterPercent: 0))
    #expect(job.timeoutMilliseconds == 60_000)
    #expect(job.leaseMilliseconds == 90_000)
    #expect(job.retentionMilliseconds == 3_600_000)
    #expect(job.uniqueKey.text == "k")
    #expect(job.uniqueMilliseconds == 5)
  }
}

@Test("A time may be given as a duration or as a clock time; no delay is none")
func moments() throws {
  let rows: [(MessageValue, Moment, Moment)] = [
    (["task": "t", "delay_ms": 0], .unspecified, .unspecified),
    (["task": "t", "delay_ms": 1], .after(milliseconds: 1), .unspecified),
    (["task": "t", "start_at_ms": 0], .at(milliseconds: 0), .unspecified),
    (["task": "t", "expires_in_ms": 0], .unspecified, .after(milliseconds: 0)),
    (["task": "t", "expires_at_ms": 9, "delay_ms": nil], .unspecified, .at(milliseconds: 9)),
  ]
  for (job, start, expiry) in rows {
    try withRequest("enqueue", ["jobs": [job]]) { request in
      #expect(request.jobs[0].start == start, "\(job)")
      #expect(request.jobs[0].expiry == expiry, "\(job)")
    }
  }
}

@Test(
  "A parameter of a job is taken at the ends of its range and refused by name beyond them, and of another type",
  arguments: [
    Row(["queue": .string(bytes: 255)], "ok"),
    Row(["queue": "Grüße 日本 🙂"], "ok"),
    Row(["queue": .string(bytes: 256)], "queue"),
    Row(["queue": .string(bytes: 1 << 20)], "queue"),
    Row(["queue": ""], "queue"),
    Row(["queue": "a\nb"], "queue"),
    Row(["queue": "a\u{0}"], "queue"),
    Row(["queue": "\u{7F}"], "queue"),
    Row(["queue": "ü\u{1F}"], "queue"),
    Row(["queue": "ü\u{7F}"], "queue"),
    Row(["queue": "\u{85}"], "queue"),
    Row(["queue": "\u{9F}"], "queue"),
    Row(["queue": "\u{A0}"], "ok"),
    Row(["queue": .binary([0x61])], "queue"),
    Row(["queue": 1], "queue"),
    Row(["task": ""], "task"),
    Row(["task": .string(bytes: 255)], "ok"),
    Row(["task": .string(bytes: 256)], "task"),
    Row(["task": ["t"]], "task"),
    Row(["payload": "text"], "ok"),
    Row(["payload": .binary([])], "ok"),
    Row(["payload": 5], "payload"),
    Row(["payload": [:]], "payload"),
    Row(["headers": [:]], "ok"),
    Row(["headers": ["a": "b", "a": .binary([])]], "ok"),
    Row(["headers": ["a": 1]], "headers"),
    Row(["headers": ["a": nil]], "headers"),
    Row(["headers": ["a": ["b": "c"]]], "headers"),
    Row(["headers": [1: "a"]], "headers"),
    Row(["headers": [.binary([1]): "a"]], "headers"),
    Row(["headers": ["a"]], "headers"),
    // One byte of map, two of key, three of length: 65,536 in all, and one more.
    Row(["headers": ["a": .binary(bytes: 65_530)]], "ok"),
    Row(["headers": ["a": .binary(bytes: 65_531)]], "headers"),
    Row(["tags": []], "ok"),
    Row(["tags": ["a", 1]], "tags"),
    Row(["tags": ["a", nil]], "tags"),
    Row(["tags": "a"], "tags"),
    Row(["tags": [.string(bytes: 4_092)]], "ok"),
    Row(["tags": [.string(bytes: 4_093)]], "tags"),
    Row(["priority": 0], "ok"),
    Row(["priority": 255], "ok"),
    Row(["priority": 256], "priority"),
    Row(["priority": -1], "priority"),
    Row(["priority": 5.0], "priority"),
    Row(["priority": "5"], "priority"),
    Row(["delay_ms": 3_155_760_000_000], "ok"),
    Row(["delay_ms": 3_155_760_000_001], "delay_ms"),
    Row(["delay_ms": -1], "delay_ms"),
    Row(["delay_ms": .double(.nan)], "delay_ms"),
    Row(["delay_ms": .double(.infinity)], "delay_ms"),
    Row(["delay_ms": .uint(.max)], "delay_ms"),
    Row(["delay_ms": .int(.min)], "delay_ms"),
    Row(["start_at_ms": 253_402_300_799_999], "ok"),
    Row(["start_at_ms": 253_402_300_800_000], "start_at_ms"),
    // The year 300000.
    Row(["start_at_ms": 9_404_907_264_000_000], "start_at_ms"),
    Row(["start_at_ms": "2026-11-21"], "start_at_ms"),
    Row(["start_at_ms": 1, "delay_ms": 1], "start_at_ms"),
    Row(["start_at_ms": 1, "delay_ms": 0], "start_at_ms"),
    Row(["expires_in_ms": 3_155_760_000_000], "ok"),
    Row(["expires_in_ms": 3_155_760_000_001], "expires_in_ms"),
    Row(["expires_at_ms": 253_402_300_799_999], "ok"),
    Row(["expires_at_ms": 253_402_300_800_000], "expires_at_ms"),
    Row(["expires_in_ms": 1, "expires_at_ms": 1], "expires_at_ms"),
    Row(["max_attempts": 1], "ok"),
    Row(["max_attempts": 65_535], "ok"),
    Row(["max_attempts": 0], "max_attempts"),
    Row(["max_attempts": 65_536], "max_attempts"),
    Row(["backoff": "fixed"], "ok"),
    Row(["backoff": "exponential"], "ok"),
    Row(["backoff": "linear"], "backoff"),
    Row(["backoff": 1], "backoff"),
    Row(["backoff_base_ms": 4_294_967_295], "ok"),
    Row(["backoff_base_ms": 4_294_967_296], "backoff_base_ms"),
    Row(["backoff_cap_ms": 4_294_967_295], "ok"),
    Row(["backoff_cap_ms": 4_294_967_296], "backoff_cap_ms"),
    Row(["jitter_percent": 100], "ok"),
    Row(["jitter_percent": 101], "jitter_percent"),
    Row(["timeout_ms": 4_294_967_295], "ok"),
    Row(["timeout_ms": 4_294_967_296], "timeout_ms"),
    Row(["lease_ms": 0], "ok"),
    Row(["lease_ms": 86_400_000], "ok"),
    Row(["lease_ms": 86_400_001], "lease_ms"),
    Row(["retention_ms": 3_155_760_000_000], "ok"),
    Row(["retention_ms": 3_155_760_000_001], "retention_ms"),
    Row(["unique_key": "k"], "ok"),
    Row(["unique_key": .binary(bytes: 255)], "ok"),
    Row(["unique_key": .binary([0xFF])], "ok"),
    Row(["unique_key": .binary([])], "unique_key"),
    Row(["unique_key": .binary(bytes: 256)], "unique_key"),
    Row(["unique_key": 5], "unique_key"),
    Row(["unique_ms": 3_155_760_000_000], "ok"),
    Row(["unique_ms": 3_155_760_000_001], "unique_ms"),
    Row(["unique_ms": true], "unique_ms"),
  ])
func jobParameters(row: Row) throws {
  guard case .map(let pairs) = row.sent else { return }
  let job = MessageValue.map([("task", "t")] + pairs)
  let expected = row.result == "ok" ? "ok" : "BAD_PARAMS jobs[1].\(row.result)"
  #expect(try verdict(on: "enqueue", ["jobs": [["task": "t"], job]]) == expected)
}

@Test(
  "A list of jobs has 1 to 10,000 maps",
  arguments: [
    Row([:], "BAD_PARAMS jobs"),
    Row(["jobs": []], "BAD_PARAMS jobs"),
    Row(["jobs": ["task": "t"]], "BAD_PARAMS jobs"),
    Row(["jobs": "task"], "BAD_PARAMS jobs"),
    Row(["jobs": [[:]]], "BAD_PARAMS jobs[0].task"),
    Row(["jobs": [["queue": "q"]]], "BAD_PARAMS jobs[0].task"),
    Row(["jobs": [["task": "t"], nil]], "BAD_PARAMS jobs[1]"),
    Row(["jobs": [["task": "t"], ["task"]]], "BAD_PARAMS jobs[1]"),
    Row(["jobs": [["task": "t", 5: 6]]], "BAD_PARAMS jobs[0]"),
    Row(["jobs": MessageValue.map([("task", "t")]).repeated(10_000)], "ok"),
    Row(["jobs": MessageValue.map([("task", "t")]).repeated(10_001)], "BAD_PARAMS jobs"),
  ])
func jobLists(row: Row) throws {
  #expect(try verdict(on: "enqueue", row.sent) == row.result)
}

@Test("Text that is not UTF-8 is refused in names, headers and tags")
func invalidUTF8() throws {
  for (job, key) in [
    (["task": "t", "queue": "\u{1}\u{1}\u{1}"], "queue"), (["task": "\u{1}\u{1}\u{1}"], "task"),
    (["task": "t", "tags": ["\u{1}\u{1}\u{1}"]], "tags"),
    (["task": "t", "headers": ["\u{1}\u{1}\u{1}": "a"]], "headers"),
    (["task": "t", "headers": ["a": "\u{1}\u{1}\u{1}"]], "headers"),
  ] as [(MessageValue, String)] {
    let message: MessageValue = [0, 17, "enqueue", ["jobs": [job]]]
    let frame = try message.encoded()
    let place = try #require(frame.indices.first { frame[$0...].starts(with: [1, 1, 1]) })
    // Overlong, a surrogate, above U+10FFFF, cut off.
    for wrong: [UInt8] in [
      [0x61, 0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80], [0x61, 0xE2, 0x82], [0x61, 0x61, 0xC2],
    ] {
      var changed = frame
      changed.replaceSubrange(place..<place + 3, with: wrong)
      #expect(verdict(on: changed) == "BAD_PARAMS jobs[0].\(key)", "\(wrong)")
    }
  }
}

@Test("A payload and a result have 8 MiB at most")
func payloadLimit() throws {
  for (count, expected) in [(8 << 20, ""), ((8 << 20) + 1, "BAD_PARAMS jobs[0].")] {
    let bytes = MessageValue.binary(bytes: count)
    let enqueue = try verdict(on: "enqueue", ["jobs": [["task": "t", "payload": bytes]]])
    let ack = try verdict(on: "ack", ["jobs": [["id": 1, "token": 1, "result": bytes]]])
    #expect(enqueue == (expected.isEmpty ? "ok" : expected + "payload"))
    #expect(ack == (expected.isEmpty ? "ok" : expected + "result"))
  }
}
