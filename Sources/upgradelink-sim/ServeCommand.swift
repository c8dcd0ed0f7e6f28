import ArgumentParser
import Glibc
import Host
import Simulator
import UpdateCore

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the server, until SIGTERM or SIGINT ends it.",
        discussion: """
            Prints a line for each request. Only this machine reaches the server, unless --listen names another address. \
            The server also offers each version that upgradelink-sim release puts into its directory while it runs.

            Exit status: 0 ended by a signal; 64 wrong arguments; 66 no such file or directory; 69 it cannot listen; 77 not \
            allowed; 78 the configuration is wrong.
            """)

    @Argument(
        help: ArgumentHelp(
            "A directory of releases (upgradelink-sim release makes it), or a configuration, a TOML file.",
            valueName: "directory-or-file"))
    var source: String

    @Option(
        help: ArgumentHelp(
            "Listen here: 0.0.0.0, [::]:8480, 192.168.1.5:80. Port 0 is any free port. The default is 127.0.0.1:8480.",
            valueName: "address"), transform: ListenArgument.init)
    var listen: ListenArgument?

    @Option(
        help: ArgumentHelp(
            "The URL at which devices reach the server, if it is not where they send their requests (a proxy with TLS).",
            valueName: "url"))
    var publicUrl: String?

    @Option(help: ArgumentHelp("The access key of the devices, with a directory of releases.", valueName: "key"))
    var accessKey = "access"
    @Option(help: ArgumentHelp("The secret key of the devices, with a directory of releases.", valueName: "key"))
    var secretKey = "secret"

    func validate() throws {
        guard let publicUrl else { return }
        // The paths of files are appended to it.
        guard let url = WebURL(publicUrl), !publicUrl.contains("?"), !publicUrl.contains("#"), !url.hasUserInfo else {
            throw ValidationError(
                "--public-url \(publicUrl) is not a URL: write http://HOST or https://HOST, perhaps with a port and a path"
            )
        }
    }

    func run() async throws {
        Signals.ignore(SIGPIPE)
        var settings = try reportingFailure {
            let settings = try readSettings()
            try requireReadable(settings.directory)
            return settings
        }
        if let listen { settings.listen = listen.address(standardPort: settings.listen.port) }
        if let publicUrl { settings.publicURL = Self.withoutSlash(publicUrl) }
        endOnSignals()
        let publicURL = settings.publicURL
        do {
            try await SimulatedServer.run(settings, log: { say($0) }) { server in
                for release in await server.releases { say("Offers \(release.urlKey) \(release.version.shown)") }
                say("Listening on \(server.url)\(Self.reach(server.address, publicURL))")
                while true { try await Task.sleep(for: .seconds(3600)) }
            }
        } catch let failure as SimulatedServer.CannotListen {
            _ = try reportingFailure { throw Self.explain(failure) }
        }
    }

    private static func withoutSlash(_ url: String) -> String {
        url.hasSuffix("/") ? withoutSlash(String(url.dropLast())) : url
    }

    private func readSettings() throws -> SimulatorConfiguration {
        var status = stat()
        guard stat(source, &status) == 0 else {
            let error = SystemError("examine", source)
            throw CommandFailure(
                "\(source): \(error.reason): name a directory of releases (upgradelink-sim release makes "
                    + "one) or a configuration (an example is in /usr/share/doc/upgradelink-sim/examples)",
                status: Self.status(of: error))
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            return SimulatorConfiguration(
                listen: .loopback(port: ListenAddress.standardPort), directory: source,
                keys: [KeyPair(accessKey: accessKey, secretKey: secretKey)], applications: [])
        }
        do {
            return try SimulatorConfiguration(toml: try readFile(source))
        } catch let error as SystemError {
            throw CommandFailure("\(error)", status: Self.status(of: error))
        } catch {
            throw CommandFailure("\(source): \(error)", status: EX_CONFIG)
        }
    }

    /// Without the directory there would be no versions, and no file could be downloaded.
    private func requireReadable(_ directory: String) throws {
        do throws(SystemError) {
            _ = try Files.list(directory)
        } catch {
            let remedy =
                error.isNotFound
                ? "create it, or correct the key directory of \(source)" : "let this user read the directory"
            throw CommandFailure("\(error): \(remedy)", status: Self.status(of: error))
        }
    }

    private static func status(of error: SystemError) -> CInt {
        [EACCES, EPERM].contains(error.code) ? EX_NOPERM : EX_NOINPUT
    }

    private func endOnSignals() {
        // There is nothing to clean up. _exit(2) may be called in a signal handler, and no signal is lost while a handler is set up.
        for number in [SIGINT, SIGTERM] { signal(number) { _ in _exit(0) } }
    }

    /// Where devices reach the server, for the line that says where it listens.
    private static func reach(_ address: ListenAddress, _ publicURL: String?) -> String {
        if let publicURL { return "; devices reach it at \(publicURL)" }
        if address.isLoopback { return " (only from this machine; see --listen)" }
        guard address.isWildcard else { return "" }
        let own = OwnAddresses.list().filter { address.family == .ip6 || $0.family == .ip4 }
        let urls = own.map { own in
            var own = own
            own.port = address.port
            return own.url
        }
        return urls.isEmpty
            ? "; devices reach it when this machine has a network address"
            : "; devices reach it at \(urls.joined(separator: " or "))"
    }

    private static func explain(_ failure: SimulatedServer.CannotListen) -> CommandFailure {
        let (address, code) = (failure.address, failure.code)
        let (reason, status) =
            switch code {
            case EADDRINUSE:
                (
                    "another program uses the port: end it (ss -ltnp names it), or choose another port with --listen",
                    EX_UNAVAILABLE
                )
            case EADDRNOTAVAIL:
                (
                    "this machine has no such address: choose one that ip address shows, or 0.0.0.0 for all of them",
                    EX_UNAVAILABLE
                )
            case EACCES: ("only root may use a port below 1024: choose another port with --listen", EX_NOPERM)
            default: ("\(String(cString: strerror(code))): choose another address with --listen", EX_UNAVAILABLE)
            }
        return CommandFailure("cannot listen on \(address): \(reason)", status: status)
    }
}

/// Where the server listens, as an argument.
struct ListenArgument {
    private let text: String

    init(_ text: String) throws {
        guard ListenAddress(text) != nil else {
            throw ValidationError(
                "write ADDRESS, ADDRESS:PORT, [IPV6-ADDRESS]:PORT or PORT; the address is numeric, or localhost")
        }
        self.text = text
    }

    /// - Parameter standardPort: the port if the argument has none.
    func address(standardPort: UInt16) -> ListenAddress {
        // It was checked above.
        ListenAddress(text, port: standardPort) ?? .loopback(port: standardPort)
    }
}

extension Version {
    /// `2.0 (code 2), silent`.
    var shown: String {
        let type = UpgradeType.allCases.first { $0.number == upgradeType }?.rawValue ?? "upgradeType \(upgradeType)"
        return "\(versionName) (code \(versionCode)), \(type)"
    }
}

/// How a version is installed. The numbers are those of the API.
enum UpgradeType: String, CaseIterable, ExpressibleByArgument {
    case prompt, silent, forced

    var number: Int {
        switch self {
        case .prompt: 1
        case .silent: 2
        case .forced: 3
        }
    }
}
