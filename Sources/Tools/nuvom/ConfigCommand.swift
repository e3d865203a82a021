import NuvomCommandLine
import ArgumentParser
import Logging
import MessagePack
import NuvomClient
import NuvomServer

struct ConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Show every setting, its value and where it comes from.",
    discussion:
      "Takes the flags of the broker and --connect, and refuses what they would refuse: a way to try settings out.")

  @OptionGroup var options: BrokerOptions
  @Option(help: ArgumentHelp("The broker that client commands talk to.", valueName: "host:port"))
  var connect: String?
  @OptionGroup var form: OutputForm

  func run() async throws {
    var flags = options.flags
    flags[.connect] = connect
    let settings = try await Settings(flags: flags)
    _ = try ServerConfiguration(settings)
    _ = try settings[.logLevel].read(Logger.Level.read)
    _ = try settings[.connect].read(ClientOptions.address)
    let values = Setting.allCases.map { settings[$0] }
    let document = values.map { value in
      (
        MessageValue.string(value.setting.rawValue),
        [
          "value": .string(value.text), "source": .string(value.source.rawValue),
          "variable": .string(value.setting.variable),
        ] as MessageValue
      )
    }
    try form.output.answer(
      .map(document),
      Output.table(
        ["SETTING", "VALUE", "FROM", "VARIABLE"],
        values.map { [$0.setting.rawValue, $0.text, $0.source.rawValue, $0.setting.variable] }))
  }
}
