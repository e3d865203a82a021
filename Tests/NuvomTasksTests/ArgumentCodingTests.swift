import MessagePack
import NuvomTasks
import Testing

/// What a payload says, and what a task that is given a payload returns.
struct ArgumentCodingTests {
  struct Size: Codable, Hashable, Sendable { var width: Int, height: Int? }

  @Test("Arguments of a closure travel by position")
  func positional() throws {
    let task = TaskReference<Arguments<String, Int, [Bool]>, NoValue>("t")
    #expect(try value(task.job("a", 2, [true])) == ["args": ["a", 2, [true]], "kwargs": [:]])
  }

  @Test("A task without parameters has no arguments")
  func none() throws {
    let task = TaskReference<Arguments<>, NoValue>("t")
    #expect(try value(task.job()) == ["args": [], "kwargs": [:]])
  }

  @Test("A single argument that is a struct or a dictionary travels by its names")
  func named() throws {
    let size = TaskReference<Arguments<Size>, NoValue>("t")
    #expect(try value(size.job(Size(width: 8, height: 9))) == ["args": [], "kwargs": ["width": 8, "height": 9]])
    let map = TaskReference<Arguments<[String: Int]>, NoValue>("t")
    #expect(try value(map.job(["a": 1])) == ["args": [], "kwargs": ["a": 1]])
  }

  @Test("Two structs travel by position")
  func twoStructs() throws {
    let task = TaskReference<Arguments<Size, Size>, NoValue>("t")
    #expect(
      try value(task.job(Size(width: 1, height: 2), Size(width: 3, height: 4)))
        == ["args": [["width": 1, "height": 2], ["width": 3, "height": 4]], "kwargs": [:]])
  }

  @Test(
    "A task takes what another language sent, by position or name",
    arguments: [
      ["args": ["x", 2], "kwargs": [:]],
      ["kwargs": [:], "args": ["x", 2], "later": 1],
      ["args": ["x", .double(2)]],
    ] as [MessageValue])
  func foreign(payload: MessageValue) async throws {
    let task = TaskDefinition("t") { (name: String, count: Double) in "\(name)\(count)" }
    #expect(try await run(task, payload) == .string("x2.0"))
  }

  @Test(
    "A struct's fields may come by name, or as the only argument",
    arguments: [
      ["args": [], "kwargs": ["width": 3]],
      ["args": [["width": 3, "height": nil]], "kwargs": [:]],
    ] as [MessageValue])
  func foreignStruct(payload: MessageValue) async throws {
    let task = TaskDefinition("t") { (size: Size) in size.width + (size.height ?? 0) }
    #expect(try await run(task, payload) == 3)
  }

  @Test(
    "A payload that does not fit is refused, and the argument is named",
    arguments: [
      (["args": ["x"], "kwargs": [:]], "number 2 is missing"),
      (["args": ["x", "y"], "kwargs": [:]], "number 2 is no Int"),
      (["args": ["x", 1, 2], "kwargs": [:]], "3 arguments were given by position, the task takes 2"),
      (["args": ["x", 1], "kwargs": ["z": 2]], "no argument named z"),
      (["args": 1], "the payload is not"),
      ("text", "the payload is not"),
    ] as [(MessageValue, String)])
  func misfits(payload: MessageValue, message: String) async throws {
    let task = TaskDefinition("t") { (name: String, count: Int) in name }
    let error = await #expect(throws: ArgumentError.self) { try await run(task, payload) }
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
  }

  @Test("No payload means no arguments: the first that is wanted is missing")
  func noPayload() async throws {
    let error = await #expect(throws: ArgumentError.self) {
      try await TaskDefinition("t") { (name: String) in name }.run(payload: [], hookFailed: { _, _ in })
    }
    #expect(error?.description.contains("number 1 is missing") == true)
    let without = TaskDefinition("t") { () in 7 }
    #expect(try await without.run(payload: [], hookFailed: { _, _ in }) == [7])
  }

  @Test("An input of one's own names its arguments, and Python's way to bind them holds")
  func ownInput() async throws {
    struct Resize: TaskInput {
      var path: String, width: Int
      init(path: String, width: Int) { (self.path, self.width) = (path, width) }
      func encode(to arguments: inout ArgumentEncoder) throws {
        try arguments.positional(path)
        try arguments.named("width", width)
      }
      init(from arguments: inout ArgumentDecoder) throws {
        path = try arguments.argument("path", at: 0)
        width = try arguments.argument("width", at: 1, default: 80)
      }
    }
    let task = TaskDefinition<Resize, String>("t", handler: { "\($0.path) \($0.width)" })
    #expect(try value(task.job(Resize(path: "p", width: 1))) == ["args": ["p"], "kwargs": ["width": 1]])
    #expect(try await run(task, ["args": ["p", 5]]) == "p 5")
    #expect(try await run(task, ["kwargs": ["path": "p"]]) == "p 80")
    await #expect(throws: ArgumentError.self) { try await run(task, ["args": ["p"], "kwargs": ["path": "q"]]) }
    await #expect(throws: ArgumentError.self) { try await run(task, ["args": [], "kwargs": ["width": 2]]) }
  }

  private func value(_ job: Job) throws -> MessageValue { try MessageValue(decoding: job.payload) }

  private func run(_ task: any RunnableTask, _ payload: MessageValue) async throws -> MessageValue {
    let result = try await task.run(
      payload: payload.encoded(), hookFailed: { name, _ in Issue.record("\(name) failed") })
    return try MessageValue(decoding: result)
  }
}
