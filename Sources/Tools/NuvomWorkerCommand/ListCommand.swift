import ArgumentParser
import MessagePack
import NuvomCommandLine
import NuvomWorker

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Print the tasks that this worker has.")

  @Flag(name: .customLong("json"), help: "Print one JSON document.") var isJSON = false

  func run() throws {
    let tasks = WorkerProgram.current.tasks.sorted { $0.name < $1.name }
    let rows = tasks.map { task in
      let policy = task.policy
      return [
        task.name, policy.queue, "\(policy.retries)", policy.timeout.map(DurationText.write) ?? "-",
        policy.tags.isEmpty ? "-" : policy.tags.joined(separator: ","), policy.description,
      ]
    }
    let documents = tasks.map { task -> MessageValue in
      [
        "name": .string(task.name), "queue": .string(task.policy.queue),
        "priority": .uint(UInt64(task.policy.priority)),
        "retries": .int(Int64(task.policy.retries)),
        "timeout_ms": task.policy.timeout.map { .int(DurationText.milliseconds($0)) } ?? .null,
        "timeout_policy": .string(task.policy.timeoutPolicy.rawValue), "store_result": .bool(task.policy.storeResult),
        "tags": .array(task.policy.tags.map { .string($0) }), "category": .string(task.policy.category),
        "description": .string(task.policy.description),
      ]
    }
    try Output(isJSON: isJSON).answer(
      ["tasks": .array(documents)],
      Output.table(["NAME", "QUEUE", "RETRIES", "TIMEOUT", "TAGS", "DESCRIPTION"], rows))
  }
}
