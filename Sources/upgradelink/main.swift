import ControlProgram
import DaemonProgram
import FetchProgram
import Glibc
import Host
import InstallerProgram
import Modules

// All programs are installed as one file. Links have the programs' names, and the name selects the program. Shared code is
// on the flash and in memory only once.
let name = CommandLine.arguments.first.map { String($0.split(separator: "/").last ?? "") } ?? ""
switch name {
case "upgradelinkd": DaemonProgram.main()
case "upgradelinkctl": ControlProgram.main()
case "upgradelink-fetch": FetchProgram.main()
case "upgradelink-installer": InstallerProgram.main()
case let name where ModuleProgram.isModule(name): ModuleProgram.main()
default:
    Environment.printError(
        "upgradelink: start this through a link named upgradelinkd, upgradelinkctl, upgradelink-fetch or upgradelink-installer"
    )
    exit(64)
}
