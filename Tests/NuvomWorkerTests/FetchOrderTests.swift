import Testing

@testable import NuvomWorker

struct FetchOrderTests {
  @Test("Without weights the order is always the one given")
  func inOrder() {
    var order = FetchOrder(.inOrder(["b", "a"]))
    for _ in 0..<3 { #expect(order.next() == ["b", "a"]) }
  }

  @Test("With weights each queue is first as often as its weight says, evenly spread")
  func weighted() {
    var order = FetchOrder(.weighted(["a": 5, "b": 1, "c": 1]))
    let firsts = (0..<14).map { _ in order.next()[0] }
    #expect(firsts.joined() == "aabacaaaabacaa")
  }

  @Test("Every request names every queue once, so that no job waits while a worker is idle")
  func complete() {
    var order = FetchOrder(.weighted(["a": 3, "b": 2, "c": 1]))
    for _ in 0..<20 { #expect(order.next().sorted() == ["a", "b", "c"]) }
  }
}
