import NuvomModel
import Testing

@testable import NuvomEngine

/// A world whose connection speaks for client "c".
private func clientWorld() -> EngineWorld {
  let world = EngineWorld()
  world.connect(client: "c")
  return world
}

@Test("a request that was done is answered again and not done again, also after a crash", arguments: [false, true])
func retriedRequests(afterCrash: Bool) {
  let world = clientWorld()
  func again() {
    if afterCrash { world.restart() }
    world.connect(client: "c")
  }
  #expect(world.enqueue("a", id: 1) == "j1")
  again()
  #expect(world.enqueue("a", id: 1) == "j1")
  let many = world.say(.enqueue, id: 2) { $0.jobs = [world.job("b"), world.job("c")] }.text
  #expect(many == "j2 j3")
  again()
  #expect(world.say(.enqueue, id: 2) { $0.jobs = [world.job("b"), world.job("c")] }.text == "j2 j3")
  #expect(world.dequeue(max: 9) == "j1 t1 a1 a, j2 t2 a1 b, j3 t3 a1 c")
  #expect(world.ack("j1", id: 10) == "ok")
  #expect(world.ack("j1", id: 11) == "refused j1 LEASE_LOST")
  again()
  #expect(world.ack("j1", id: 10) == "ok")
  #expect(world.ack("j1", id: 11) == "refused j1 LEASE_LOST")
  let cancel = { world.say(.cancel, id: 12) { $0.ids = [world.id("j2"), JobID(rawValue: 99)] }.text }
  let cancelled = cancel()
  #expect(cancelled == "cancelled j2 leased j2 refused j4 NOT_FOUND")
  again()
  #expect(cancel() == cancelled)
  let multi = {
    world.say(.multi, id: 13) {
      $0.settlements = [world.settlement(.ack, "j3")]
      $0.jobs = [world.job("d")]
      $0.operations = [.init(method: .ack, items: 0..<1), .init(method: .enqueue, items: 0..<1)]
    }.text
  }
  let done = multi()
  #expect(done == "[ok; j5]")
  again()
  #expect(multi() == done)
  world.check()
}

@Test("a retried dequeue does not settle again, and takes anew")
func retriedDequeue() {
  let world = clientWorld()
  world.enqueue("a", id: 1)
  world.enqueue("b", id: 2)
  world.dequeue()
  let settling = [world.settlement(.ack, "j1"), world.settlement(.ack, "j2", token: 5)]
  #expect(world.take(id: 9, settling: settling).text == "j2 t2 a1 b refused j2 LEASE_LOST")
  world.restart()
  world.connect(client: "c")
  #expect(world.take(id: 9, settling: settling).text == "nothing refused j2 LEASE_LOST")
  world.release("j2")
  #expect(world.take(id: 9, settling: settling).text == "j2 t3 a1 b refused j2 LEASE_LOST")
  world.check()
}

@Test("a request that was refused as a whole is done when it is sent again")
func refusedIsNotRemembered() {
  let world = clientWorld()
  world.diskRoom = 0
  #expect(world.enqueue("a", id: 1) == "DISK_FULL retry")
  world.diskRoom = .max
  #expect(world.enqueue("b", id: 2) == "j1")
  #expect(world.enqueue("a", id: 1) == "j2")
  #expect(world.enqueue("a", id: 1) == "j2")
  world.check()
}

@Test("the last 1,024 answers are remembered; an older request is refused and not done")
func forgottenAnswers() {
  let world = clientWorld()
  for number in 1...1_030 { world.enqueue("\(number)", id: UInt64(number)) }
  #expect(world.enqueue("1", id: 6) == "REQUEST_FORGOTTEN")
  #expect(world.enqueue("7", id: 7) == "j7")
  world.check()
  world.takeSnapshot()
  world.restartFromSnapshot()
  #expect(world.connect(client: "c") == 1_030)
  #expect(world.enqueue("1", id: 6) == "REQUEST_FORGOTTEN")
  #expect(world.enqueue("1030", id: 1_030) == "j1030")
  #expect(world.enqueue("new", id: 1_031) == "j1031")
  #expect(world.enqueue("7", id: 7) == "REQUEST_FORGOTTEN")
  world.check()
}

@Test("a client is forgotten ten minutes after it was last connected")
func forgottenClient() {
  let world = clientWorld()
  world.enqueue("a", id: 1)
  world.disconnect()
  world.advance(seconds: 599)
  #expect(world.connect(client: "c") == 1)
  world.advance(seconds: 3_600)
  world.disconnect()
  world.advance(seconds: 601)
  #expect(world.connect(client: "c") == 0)
  world.check()
}

@Test("a client on a second connection takes over from the first")
func replacedClient() {
  let world = clientWorld()
  let first = world.connection
  world.enqueue("a", id: 1)
  let second = world.engine.connect() ?? first
  let welcome = world.engine.hello(second, clientID: world.bytes("c"))
  #expect(welcome?.replaced == first && welcome?.highestRequest == 1)
  // What the first still says is nothing that the client is answered again.
  #expect(world.enqueue("a", id: 1) == "j2")
  world.disconnect(first)
  world.speak(on: second)
  world.advance(seconds: 3_600)
  #expect(world.enqueue("a", id: 1) == "j1")
  world.check()
}

@Test("a client may number its requests from zero")
func numberedFromZero() {
  let world = clientWorld()
  #expect(world.enqueue("a", id: 0) == "j1")
  #expect(world.enqueue("a", id: 0) == "j1")
  #expect(world.enqueue("b", id: 1) == "j2")
  world.check()
}
