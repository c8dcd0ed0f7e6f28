import Configuration
import DeviceChecks
import Glibc
import Host
import Systemd
import UpdateCore

/// The proxy that the agent uses, but this program does not: its unit has an environment of its own.
extension Checkup {
    /// Nil if the agent has no unit here: this program's own environment counts.
    private var unitVariables: ProxyVariables? {
        guard root == "/", let bus = try? Bus(acceptsDescriptors: false) else { return nil }
        return ProxyVariables.ofUnit(AgentRights.unit, bus)
    }

    /// Why the name of the server is not looked up on this device; nil if it is.
    func resolvingProxy(for url: WebURL) -> String? {
        let variables = unitVariables ?? ProxyVariables(Environment.current)
        if settings.server.proxy != nil { return variables.excludes(url.host) ? nil : "server.proxy" }
        return variables.proxy(for: url)
    }

    /// Gives the variables of the unit to this process, and so to upgradelink-fetch. No other thread reads them meanwhile.
    @MainActor func adoptProxyVariables() {
        guard let variables = unitVariables else { return }
        for name in ProxyVariables.names {
            if let value = variables.values[name] { setenv(name, value, 1) } else { unsetenv(name) }
        }
    }
}
