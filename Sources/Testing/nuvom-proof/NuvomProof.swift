import ArgumentParser

/// What is tried on the real process: see docs/testing.md.
@main
struct NuvomProof: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nuvom-proof",
    abstract: "Tries a broker's promises on the real process: crashes, broken disks, hostile clients.",
    discussion: "Each part prints what it did and found; its exit status is 0 only if every promise held.",
    subcommands: [
      CanariesCommand.self, SimulatedDiskCommand.self, DamageCommand.self, GoldenCommand.self, DiskCommand.self,
      FullDiskCommand.self,
      ClockCommand.self, FailpointsCommand.self,
      CrashCommand.self,
      PowerCutCommand.self,
      HostileCommand.self, OverloadCommand.self, ClientsCommand.self, AttackerCommand.self, CheckCommand.self,
    ])
}
