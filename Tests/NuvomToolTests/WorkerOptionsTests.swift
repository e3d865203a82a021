import NuvomCommandLine
import NuvomWorker
import Testing

/// What the command lines of workers share.
struct WorkerOptionsTests {
  @Test(
    "A queue may have a weight after its last =",
    arguments: [
      ("mail", "mail", nil), ("mail=3", "mail", 3), ("a=b=2", "a=b", 2), ("a=b", "a=b", nil),
      ("mail=0", nil, nil), ("=3", nil, nil), ("", nil, nil), ("mail=-1", nil, nil), ("mail=1000001", nil, nil),
    ] as [(String, String?, Int?)])
  func queueWeight(text: String, name: String?, weight: Int?) {
    let queue = try? QueueWeight(text)
    #expect(queue?.name == name && queue?.weight == weight)
    #expect(queue == nil || queue?.description == text)
  }

  @Test("Queues are taken by weight when one has a weight")
  func order() throws {
    let read = { (texts: [String]) throws in QueueWeight.order(try texts.map { try QueueWeight($0) }) }
    #expect(try read(["a", "b"]) == .inOrder(["a", "b"]))
    #expect(try read(["a=3", "b"]) == .weighted(["a": 3, "b": 1]))
    #expect(try read([]) == nil)
  }

  @Test("A job file names its task in either way; what it leaves out, or says as null, is the task's")
  func jobFile() throws {
    let full = try JobFile(
      text: #"{"func_name": "f", "args": [1], "kwargs": {"a": 2}, "timeout_secs": 0.5, "retries": 7}"#)
    #expect(full.job.task == "f" && full.job.timeout == .milliseconds(500) && full.retries == 7)
    let bare = try JobFile(text: #"{"task": "f", "timeout_secs": null, "retries": null}"#)
    #expect(bare.job.task == "f" && bare.job.timeout == nil && bare.retries == nil)
  }
}
