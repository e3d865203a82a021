import ArgumentParser

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
