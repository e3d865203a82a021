import MessagePack
import NuvomClient

/// A job as a JSON file describes it, to be run without a broker.
package struct JobFile {
  /// What it holds, for help.
  package static let example =
    #"{"task": "resize", "args": ["logo.png"], "kwargs": {"width": 80}, "timeout_secs": 10, "retries": 2}"#

  package let job: LeasedJob
  /// How often it is tried again; nil: as often as its task says.
  package let retries: Int?

  /// Reads a file; `-` is standard input.
  /// - Throws: ``Failure`` that names what is wrong in it.
  package init(_ path: String) throws {
    let text = String(decoding: try InputFile.read(path), as: UTF8.self)
    do {
      try self.init(text: text)
    } catch let error as Unreadable {
      throw Failure(.damaged, "\(path == "-" ? "standard input" : path) is no job: \(error)")
    }
  }

  /// Reads `{task, args?, kwargs?, timeout_secs?, retries?}`; `func_name` is another word for `task`.
  package init(text: String) throws {
    guard case .map(let pairs) = try JSONText.read(text) else {
      throw Unreadable(description: "it must be a JSON object, as \(Self.example)")
    }
    var (task, args, kwargs) = ("", MessageValue.array([]), MessageValue.map([]))
    var (timeout, retries): (Duration?, Int?) = (nil, nil)
    for (key, value) in pairs {
      switch (key, value) {
      case ("task", .string(let name)), ("func_name", .string(let name)): task = name
      case ("args", .array): args = value
      case ("kwargs", .map): kwargs = value
      case ("timeout_secs", .null), ("retries", .null): break
      case ("timeout_secs", _): timeout = try Self.seconds(value)
      case ("retries", .uint(let count)) where count <= 65_534: retries = Int(count)
      default:
        throw Unreadable(
          description:
            "\(JSONText.write(key)) is unknown, or cannot be \(JSONText.write(value)); known are task (a string), args (an array), "
            + "kwargs (an object), timeout_secs (a number above 0) and retries (0 to 65534)")
      }
    }
    guard !task.isEmpty else { throw Unreadable(description: "task is missing: the name of what is to be done") }
    var job = LeasedJob(task: task, payload: try (["args": args, "kwargs": kwargs] as MessageValue).encoded())
    job.timeout = timeout
    self.job = job
    self.retries = retries
  }

  private static func seconds(_ value: MessageValue) throws -> Duration {
    let seconds: Double? =
      switch value {
      case .uint(let number): Double(number)
      case .double(let number): number
      default: nil
      }
    guard let seconds, seconds > 0, seconds <= 3_155_760_000 else {
      throw Unreadable(description: "timeout_secs is a number of seconds, above 0 and up to 100 years")
    }
    return .seconds(seconds)
  }
}
