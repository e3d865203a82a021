import NuvomModel
import Testing

@testable import NuvomEngine

@Test("A batch tells what happened to its jobs, and leaves out the rest")
func jobEvents() {
  let id = JobID(partition: 0, generation: 3, slot: 9)
  let token = LeaseToken(rawValue: 77)
  let rows: [(event: Event, kind: JobEvent.Kind?, deadReason: DeadReason?)] = [
    (.turn(Time(boot: 1, wall: 2)), nil, nil), (.queueNamed(0, .none), nil, nil),
    (.enqueued(id, queue: 0, priority: 5, start: .after(milliseconds: 1), body: .none), .enqueued, nil),
    (.becameReady(id), .becameReady, nil), (.leased(id, token, leaseMilliseconds: 30_000), .leased(token), nil),
    (.extended(id, leaseMilliseconds: 1), .extended, nil), (.acked(id, result: BorrowedBytes.none), .acked, nil),
    (.nacked(id, .ready, type: .none, message: .none, trace: .none), .nacked, nil),
    (.nacked(id, .dead(.rejected), type: .none, message: .none, trace: .none), .nacked, .rejected),
    (.leaseExpired(id, .delayed(milliseconds: 1)), .leaseExpired, nil),
    (.leaseExpired(id, .dead(.leaseExpired)), .leaseExpired, .leaseExpired),
    (.released(id, delayMilliseconds: 0), .released, nil), (.cancelled(id), .cancelled, nil),
    (.expired(id), .expired, .expired), (.deadReplayed(id), .replayed, nil),
    (.removed(id, .retentionOver), .removed, nil), (.resumed, nil, nil),
  ]
  let writer = EventWriter()
  for row in rows { row.event.write(to: writer) }
  let told = JobEvent.all(in: writer.bytes)
  let expected = rows.filter { $0.kind != nil }
  #expect(told?.map(\.kind) == expected.map(\.kind))
  #expect(told?.map(\.deadReason) == expected.map(\.deadReason))
  #expect(told?.allSatisfy { $0.id == id } == true)
  // The last of them has a single byte, the one before has more: cut in the middle it is none.
  #expect(JobEvent.all(in: BorrowedBytes(rebasing: writer.bytes.dropLast(2))) == nil)
}
