import NuvomCommandLine
import ArgumentParser
import MessagePack
import NuvomClient

struct PingCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "ping", abstract: "Ask whether the broker answers.")

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let clock = ContinuousClock()
    let time = try await client.withClient { client in
      // The first one pays for the connection.
      try await client.ping()
      return try await clock.measure { try await client.ping() }
    }
    let microseconds = time.components.seconds * 1_000_000 + time.components.attoseconds / 1_000_000_000_000
    try client.output.answer(["ok": true, "microseconds": .int(microseconds)], ["pong in \(microseconds) µs"])
  }
}

struct StatsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats", abstract: "Show the broker in numbers.",
    discussion: "Totals count since the broker's log began; see Protocol.md, stats.")

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let statistics = try await client.withClient { try await $0.statistics() }
    let numbers = statistics.numbers.sorted { $0.key < $1.key }.map { name, value in
      if name.hasSuffix("_bytes") { return (name, SizeText.write(value)) }
      if name == "uptime_ms" { return ("uptime", DurationText.writeRoughly(statistics.uptime)) }
      return (name, "\(value)")
    }
    try client.output.answer(
      statistics.document,
      Output.pairs(
        [("version", statistics.version), ("fsync", statistics.fsync)] + numbers
          + [("fire_lateness", statistics.fireLateness.words)]))
  }
}

struct QueuesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "queues", abstract: "List the queues and how many jobs are in which state.")

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let queues = try await client.withClient { try await $0.queues() }
    let rows = queues.map { queue in
      [
        queue.name, "\(queue.ready)", "\(queue.delayed)", "\(queue.leased)", "\(queue.dead)",
        queue.isPaused ? "paused" : "",
      ]
    }
    try client.output.answer(
      ["queues": .array(queues.map(\.document))],
      queues.isEmpty
        ? ["no queues yet: the first enqueue makes one"]
        : Output.table(["QUEUE", "READY", "DELAYED", "LEASED", "DEAD", ""], rows))
  }
}

/// The queue that a command is about.
struct QueueArgument: ParsableArguments {
  @Argument(help: "The queue.") var name: String
  @OptionGroup var client: ClientOptions
}

struct QueueCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "queue", abstract: "Show everything the broker knows of a queue.")

  @OptionGroup var queue: QueueArgument

  func run() async throws {
    let name = queue.name
    let status = try await queue.client.withClient { try await $0.queue(name) }
    guard case .map(let pairs) = status.document else { return }
    let shown = pairs.map { key, value -> (String, String) in
      switch (key, value) {
      case (.string("oldest_ready_ms"), _): ("oldest_ready", DurationText.writeRoughly(status.oldestReady))
      case (.string(let key), .string(let text)): (key, text)
      case (.string(let key), .double(let rate)): (key, "\((rate * 10).rounded() / 10)")
      case (.string(let key), _): (key, "\(value)")
      default: ("\(key)", "\(value)")
      }
    }
    try queue.client.output.answer(status.document, Output.pairs(shown))
  }
}

struct PauseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Dequeue nothing from a queue until it is resumed, also after a restart.")

  @OptionGroup var queue: QueueArgument

  func run() async throws {
    let name = queue.name
    try await queue.client.withClient { try await $0.pause(name) }
    try queue.client.output.answer(["queue": .string(name), "paused": true], ["\(name) paused"])
  }
}

struct ResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "resume", abstract: "End a queue's pause.")

  @OptionGroup var queue: QueueArgument

  func run() async throws {
    let name = queue.name
    try await queue.client.withClient { try await $0.resume(name) }
    try queue.client.output.answer(["queue": .string(name), "paused": false], ["\(name) resumed"])
  }
}

struct PurgeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "purge", abstract: "Drop all ready and delayed jobs of a queue.",
    discussion: "Jobs that workers hold, and dead letters, stay. There is no way back.")

  @OptionGroup var queue: QueueArgument

  func run() async throws {
    let name = queue.name
    let count = try await queue.client.withClient { try await $0.purge(name) }
    try queue.client.output.answer(["queue": .string(name), "purged": .count(count)], ["\(count) purged"])
  }
}
