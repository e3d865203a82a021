import ArgumentParser
import NuvomWorker

/// A queue and, if it was given, its weight: `mail`, `mail=3`.
struct QueueShare: ExpressibleByArgument {
  let name: String
  let weight: Int?

  /// What follows the last `=` is a weight if it is a number.
  init?(argument: String) {
    if let sign = argument.lastIndex(of: "="), let weight = Int(argument[argument.index(after: sign)...]) {
      guard weight >= 1, weight <= 1_000_000 else { return nil }
      (name, self.weight) = (String(argument[..<sign]), weight)
    } else {
      (name, weight) = (argument, nil)
    }
    if name.isEmpty { return nil }
  }

  /// In the order given, or, when one has a weight, by weight, which is 1 where none is given.
  static func order(_ shares: [QueueShare]) -> QueueOrder? {
    if shares.isEmpty { return nil }
    if shares.allSatisfy({ $0.weight == nil }) { return .inOrder(shares.map(\.name)) }
    return .weighted(shares.map { ($0.name, $0.weight ?? 1) })
  }
}

/// A command that is run for each job.
struct CommandOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The command to run for each job, by /bin/sh -c: the payload is its standard input, its standard output is the result.",
      valueName: "command"))
  var exec: String?
  @Option(help: "The payload as JSON, or its bytes as they are. Default: json.")
  var input: CommandInput?
  @Option(help: "What the output is: a text, or a value in JSON or MessagePack. Default: text.")
  var output: CommandOutput?

  /// The executor of the command, if there is one.
  func configuration() -> CommandExecutor.Configuration? {
    exec.map { CommandExecutor.Configuration(command: $0, input: input ?? .json, output: output ?? .text) }
  }

  /// The flags that were given, as they are written, that mean nothing without ``exec``.
  var formFlags: [String] { [input.map { _ in "--input" }, output.map { _ in "--output" }].compactMap(\.self) }

  func validate() throws {
    if exec?.isEmpty == true { throw ValidationError("--exec needs a command, as in --exec 'wc -c'") }
  }
}
