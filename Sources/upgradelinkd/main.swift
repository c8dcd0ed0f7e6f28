import ArgumentParser
import Glibc
import Host

ProcessGuard.ignoreBrokenPipes()
umask(0o077)
let command = Command.parseOrExit()
Service.run(command)
