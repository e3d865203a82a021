import NuvomSimulation
import NuvomStorage
import Testing

/// What a disk may do when its power is cut, over many disks: each outcome that is allowed comes now and then, and no other.
struct SimulatedDiskTests {
  private let path = "/data/file"

  /// What is in the file afterwards, on each of a hundred disks; "gone" where it is none.
  private func outcomes(_ story: (SimulatedDisk) throws -> Void) throws -> Set<String> {
    var outcomes: Set<String> = []
    for seed in 1...100 {
      let disk = SimulatedDisk(seed: UInt64(seed))
      try story(disk)
      var content = "gone"
      disk.forEachFile { name, bytes in if name == path { content = String(decoding: bytes, as: UTF8.self) } }
      outcomes.insert(content)
    }
    return outcomes
  }

  private func write(_ text: String, to disk: SimulatedDisk, at offset: Int = 0, syncs: Bool = true) throws {
    let file = try disk.open(path, .createOrKeep)
    var text = text
    try text.withUTF8 { try file.write(UnsafeRawBufferPointer($0), at: offset) }
    if syncs { try file.sync() }
  }

  @Test("What was synced, with its name, is there after a power cut")
  func synced() throws {
    let outcomes = try outcomes { disk in
      try write("new", to: disk)
      try disk.syncDirectory("/data")
      disk.powerCut()
    }
    #expect(outcomes == ["new"])
  }

  @Test("A name whose directory was not synced may be gone")
  func name() throws {
    let outcomes = try outcomes { disk in
      try write("new", to: disk)
      disk.powerCut()
    }
    #expect(outcomes == ["new", "gone"])
  }

  @Test("What was not synced may be there, missing, or torn")
  func unsynced() throws {
    let outcomes = try outcomes { disk in
      try write("old", to: disk)
      try disk.syncDirectory("/data")
      try write("new", to: disk, syncs: false)
      disk.powerCut()
    }
    #expect(outcomes.isSuperset(of: ["old", "new"]))
    #expect(outcomes.isSubset(of: ["old", "new", "nld", "ned"]))
  }

  @Test("The end of a process loses nothing that it has written")
  func process() throws {
    let outcomes = try outcomes { disk in
      try write("new", to: disk, syncs: false)
      disk.processEnded()
    }
    #expect(outcomes == ["new"])
  }

  @Test("What a failed sync was to write may be missing though a later one succeeds, but not if it was written again")
  func failedSync() throws {
    func story(_ disk: SimulatedDisk, writesAgain: Bool) throws {
      try write("old", to: disk)
      try disk.syncDirectory("/data")
      disk.fault = SimulatedDisk.Fault(.sync, number: 2, isFull: false, isSticky: false)
      #expect(throws: StorageError.self) { try write("new", to: disk) }
      try write(writesAgain ? "new" : "", to: disk)
      disk.powerCut()
    }
    let lost = try outcomes { try story($0, writesAgain: false) }
    #expect(lost.isSuperset(of: ["old", "new"]))
    #expect(try outcomes { try story($0, writesAgain: true) } == ["new"])
  }

  @Test("Without power nothing that is done has any effect")
  func off() throws {
    let outcomes = try outcomes { disk in
      try write("old", to: disk)
      try disk.syncDirectory("/data")
      disk.operationsUntilPowerCut = 0
      try disk.rename(path, to: "/data/other")
      try write("new", to: disk)
      #expect(disk.isOff)
      disk.powerCut()
    }
    #expect(outcomes == ["old"])
  }

  @Test("A disk that is full takes what needs no more room, and nothing that does")
  func full() throws {
    let disk = SimulatedDisk(seed: 1)
    try write("1234", to: disk)
    disk.capacity = 4
    try write("56", to: disk, at: 2)
    #expect(throws: StorageError.self) { try write("7", to: disk, at: 4) }
    #expect(try disk.free("/data") == 0)
  }
}
