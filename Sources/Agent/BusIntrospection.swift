/// The reply to `Introspect`. A test compares it to packaging/dbus/org.upgradelink.Agent1.xml.
let busIntrospection = """
    <!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
     "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
    <node name="/org/upgradelink/Agent1">
      <interface name="org.upgradelink.Agent1">
        <method name="Check"/>
        <method name="Accept">
          <arg name="versionCode" type="t" direction="in"/>
          <arg name="when" type="s" direction="in"/>
        </method>
        <method name="Defer">
          <arg name="versionCode" type="t" direction="in"/>
          <arg name="seconds" type="t" direction="in"/>
        </method>
        <method name="Reject">
          <arg name="versionCode" type="t" direction="in"/>
        </method>
        <method name="Cancel"/>
        <method name="Retry">
          <arg name="versionCode" type="t" direction="in"/>
        </method>
        <method name="InstallFile">
          <arg name="path" type="s" direction="in"/>
          <arg name="versionCode" type="t" direction="out"/>
        </method>
        <method name="InstallDescriptor">
          <arg name="artifact" type="h" direction="in"/>
          <arg name="signature" type="h" direction="in"/>
          <arg name="versionCode" type="t" direction="out"/>
        </method>
        <method name="Inhibit">
          <arg name="what" type="s" direction="in"/>
          <arg name="who" type="s" direction="in"/>
          <arg name="why" type="s" direction="in"/>
          <arg name="inhibitor" type="h" direction="out"/>
        </method>
        <method name="SetSpeedLimit">
          <arg name="bytesPerSecond" type="t" direction="in"/>
        </method>
        <method name="History">
          <arg name="attempts" type="a(tsstttss)" direction="out"/>
        </method>
        <property name="State" type="s" access="read"/>
        <property name="StatusText" type="s" access="read"/>
        <property name="InstalledVersion" type="(ts)" access="read"/>
        <property name="Offer" type="(tssst)" access="read"/>
        <property name="Progress" type="(ttt)" access="read"/>
        <property name="NextCheck" type="t" access="read"/>
        <property name="LastCheck" type="t" access="read"/>
        <property name="LastError" type="s" access="read"/>
        <property name="Deadline" type="t" access="read"/>
        <property name="DeferralsLeft" type="u" access="read"/>
        <property name="SpeedLimit" type="t" access="read"/>
        <property name="Inhibitors" type="a(sss)" access="read"/>
        <property name="Warnings" type="as" access="read"/>
        <property name="InstallsAtBoot" type="b" access="read"/>
        <signal name="ConsentRequested">
          <arg name="versionCode" type="t"/>
          <arg name="versionName" type="s"/>
          <arg name="text" type="s"/>
        </signal>
        <signal name="InstallPending">
          <arg name="versionCode" type="t"/>
          <arg name="versionName" type="s"/>
          <arg name="deadline" type="t"/>
        </signal>
        <signal name="Finished">
          <arg name="versionCode" type="t"/>
          <arg name="versionName" type="s"/>
          <arg name="result" type="s"/>
          <arg name="reason" type="s"/>
        </signal>
      </interface>
      <interface name="org.freedesktop.DBus.Properties">
        <method name="Get">
          <arg name="interface" type="s" direction="in"/>
          <arg name="property" type="s" direction="in"/>
          <arg name="value" type="v" direction="out"/>
        </method>
        <method name="GetAll">
          <arg name="interface" type="s" direction="in"/>
          <arg name="properties" type="a{sv}" direction="out"/>
        </method>
        <method name="Set">
          <arg name="interface" type="s" direction="in"/>
          <arg name="property" type="s" direction="in"/>
          <arg name="value" type="v" direction="in"/>
        </method>
        <signal name="PropertiesChanged">
          <arg name="interface" type="s"/>
          <arg name="changed" type="a{sv}"/>
          <arg name="invalidated" type="as"/>
        </signal>
      </interface>
      <interface name="org.freedesktop.DBus.Introspectable">
        <method name="Introspect">
          <arg name="xml" type="s" direction="out"/>
        </method>
      </interface>
    </node>

    """
