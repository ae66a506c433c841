"""The keywords of sshd_config, as sshd of OpenSSH 8.4, 9.2 and 10.0 (Debian) accepts them.

Found by asking `sshd -t` for each of them, outside and inside of a Match block. Those of other
releases and of the Red Hat family (rsaminsize, kerberosusekuserok, ...) are added untried: known
here means no more than that their presence is no reason for doubt.
"""

# sshd refuses to start when one of these stands in a Match block, in every version.
_NOT_IN_MATCH = """
addressfamily ciphers compression debianbanner dsaauthentication fingerprinthash
gssapicleanupcredentials gssapikeyexchange gssapistorecredentialsonrekey gssapistrictacceptorcheck
hostcertificate hostdsakey hostkey hostkeyagent hostkeyalgorithms ignoreuserknownhosts
kerberosorlocalpasswd kerberosticketcleanup kexalgorithms listenaddress logingracetime macs
maxstartups modulifile permituserenvironment persourcemaxstartups persourcenetblocksize
persourcepenalties persourcepenaltyexemptlist pidfile port printlastlog printmotd protocol
securitykeyprovider sshdauthpath sshdsessionpath strictmodes syslogfacility tcpkeepalive usedns
usepam useprivilegeseparation versionaddendum xauthlocation
"""

_ANYWHERE = """
acceptenv allowagentforwarding allowgroups allowstreamlocalforwarding allowtcpforwarding allowusers
authenticationmethods authorizedkeyscommand authorizedkeyscommanduser authorizedkeysfile
authorizedprincipalscommand authorizedprincipalscommanduser authorizedprincipalsfile banner
casignaturealgorithms challengeresponseauthentication channeltimeout chrootdirectory
clientalivecountmax clientaliveinterval denygroups denyusers disableforwarding exposeauthinfo
forcecommand gatewayports gssapiauthentication hostbasedacceptedalgorithms
hostbasedacceptedkeytypes hostbasedauthentication hostbasedusesnamefrompacketonly ignorerhosts
include ipqos kbdinteractiveauthentication kerberosauthentication loglevel logverbose match
maxauthtries maxsessions pamservicename passwordauthentication permitemptypasswords permitlisten
permitopen permitrootlogin permittty permittunnel permituserrc pubkeyacceptedalgorithms
pubkeyacceptedkeytypes pubkeyauthentication pubkeyauthoptions rdomain refuseconnection rekeylimit
requiredrsasize revokedkeys setenv skeyauthentication streamlocalbindmask streamlocalbindunlink
subsystem trustedusercakeys unusedconnectiontimeout x11displayoffset x11forwarding x11uselocalhost
"""

# Accepted with a warning, or by one distribution's sshd alone.
_OTHERS = """
afstokenpassing authorizedkeyscommandrunas authorizedkeysfile2 checkmail exposeauthenticationmethods
gssapicleanupcreds gssapienablek5users gssapikexalgorithms gssapiusesessioncredcache
gssusesessionccache keepalive kerberosgetafstoken kerberostgtpassing kerberosuniqueccache
kerberosusekuserok keyregenerationinterval pamauthenticationviakbdint permitblacklistedkeys
reversemappingcheck rhostsauthentication rhostsrsaauthentication rsaauthentication rsaminsize
serverkeybits showpatchlevel useblacklist uselogin verifyreversemapping
"""

GLOBAL_ONLY = frozenset(_NOT_IN_MATCH.split())
KNOWN = GLOBAL_ONLY.union(_ANYWHERE.split(), _OTHERS.split())
