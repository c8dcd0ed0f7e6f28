import ControlProgram
import DaemonProgram
import FetchProgram
import Glibc
import Host
import InstallerProgram

// All programs in one file, as it is installed: links have the programs' names, and the name says which it is. What they
// share is on the flash, and in memory, once.
let name = CommandLine.arguments.first.map { String($0.split(separator: "/").last ?? "") } ?? ""
switch name {
case "upgradelinkd": DaemonProgram.main()
case "upgradelinkctl": ControlProgram.main()
case "upgradelink-fetch": FetchProgram.main()
case "upgradelink-installer": InstallerProgram.main()
default:
    Environment.printError(
        "upgradelink: call this by a name of upgradelinkd, upgradelinkctl, upgradelink-fetch or upgradelink-installer")
    exit(64)
}
