"""Server configurations as they are met in the world, without what would differ from machine to machine."""

from __future__ import annotations

DEBIAN = """
Include /etc/ssh/nowhere.d/*.conf
KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem	sftp	/usr/lib/openssh/sftp-server
"""

FEDORA = """
SyslogFacility AUTHPRIV
AuthorizedKeysFile	.ssh/authorized_keys
PasswordAuthentication yes
ChallengeResponseAuthentication no
GSSAPIAuthentication no
GSSAPICleanupCredentials no
UsePAM yes
X11Forwarding yes
AcceptEnv LANG LC_CTYPE LC_NUMERIC LC_TIME LC_COLLATE LC_MONETARY LC_MESSAGES
AcceptEnv LC_PAPER LC_NAME LC_ADDRESS LC_TELEPHONE LC_MEASUREMENT
AcceptEnv LC_IDENTIFICATION LC_ALL LANGUAGE
AcceptEnv XMODIFIERS
Subsystem sftp	/usr/libexec/openssh/sftp-server
"""

HARDENED = """
# As a guide for a hardened server would have it
Port 2222
AddressFamily inet
ListenAddress 127.0.0.1
LogLevel VERBOSE
SyslogFacility LOCAL0
LoginGraceTime 30
PermitRootLogin no
StrictModes yes
MaxAuthTries 3
MaxSessions 2
MaxStartups 10:30:60
PubkeyAuthentication yes
PasswordAuthentication no
PermitEmptyPasswords no
KbdInteractiveAuthentication no
IgnoreRhosts yes
HostbasedAuthentication no
AllowTcpForwarding no
X11Forwarding no
AllowAgentForwarding no
PermitUserEnvironment no
ClientAliveInterval 300
ClientAliveCountMax 2
TCPKeepAlive no
Compression no
UseDNS no
PermitTunnel no
Banner /etc/issue.net
AllowGroups ssh-users admins
DenyUsers guest test
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
HostKeyAlgorithms ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512,rsa-sha2-256
PubkeyAcceptedAlgorithms ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,rsa-sha2-512
"""

BASTION = """
Port 22
Port 443
PasswordAuthentication no
PermitRootLogin prohibit-password
AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys
PermitTTY no
ForceCommand echo "this host is for jumping only"
AllowTcpForwarding no

Match Group daemon Address 10.0.0.0/8,!10.9.0.0/16
	PermitTTY yes
	ForceCommand none
	MaxSessions 20

Match User root,bin* LocalPort 443
	AuthenticationMethods publickey,publickey
	MaxAuthTries 2
	Banner none
"""

TWO_FACTORS = """
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication yes
AuthenticationMethods publickey,keyboard-interactive:pam publickey,password
LoginGraceTime 2m
Match Address 192.168.0.0/16,127.0.0.1
    PasswordAuthentication yes
    AuthenticationMethods password keyboard-interactive
Match User daemon
    AuthenticationMethods publickey
"""

AUTHORITY = """
TrustedUserCAKeys /etc/ssh/user_ca.pub
RevokedKeys /etc/ssh/revoked_keys
AuthorizedPrincipalsFile /etc/ssh/auth_principals/%u
AuthorizedPrincipalsCommandUser nobody
AuthorizedPrincipalsCommand /usr/local/bin/principals "%u of %i" %s # for certificates
AuthorizedKeysFile none
CASignatureAlgorithms ssh-ed25519,rsa-sha2-512
PubkeyAuthOptions verify-required touch-required
FingerprintHash md5
"""

DIRECTORY = """
AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys %u
AuthorizedKeysCommandUser nobody
UsePAM yes
AllowUsers *@10.0.0.0/8 root@192.0.2.1 deploy
DenyGroups nogroup
RekeyLimit 1G 1h
PermitUserEnvironment LANG,LC_*
SetEnv REGION=eu "NOTE=two words"
"""

GIT = """
ListenAddress 127.0.0.1:2222
ListenAddress [::1]:2223
AuthorizedKeysFile .ssh/authorized_keys
AcceptEnv GIT_PROTOCOL
PermitRootLogin forced-commands-only
Match User daemon
  ForceCommand /usr/bin/git-shell -c "$SSH_ORIGINAL_COMMAND"
  PermitTTY no
  PermitUserRC no
  AcceptEnv GIT_PROTOCOL GIT_TRACE
  X11Forwarding no
Match All
  MaxSessions 5
"""

CLOUD = """
PermitRootLogin without-password
PasswordAuthentication no
ChallengeResponseAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
ClientAliveInterval 2m
ClientAliveCountMax 5
PubkeyAcceptedKeyTypes rsa-sha2-512,rsa-sha2-256,ssh-ed25519
Subsystem sftp /usr/lib/openssh/sftp-server -f AUTHPRIV -l INFO
Subsystem netconf   /usr/bin/netconf  --quiet
LogLevel DEBUG1
PidFile none
ModuliFile /etc/ssh/moduli
RequiredRSASize 3072
PerSourceMaxStartups 8
PerSourceNetBlockSize 24:56
"""

OLD = """
Protocol 2
UsePrivilegeSeparation yes
KeyRegenerationInterval 3600
ServerKeyBits 1024
SyslogFacility AUTH
LogLevel INFO
LoginGraceTime 120
PermitRootLogin yes
StrictModes yes
RSAAuthentication yes
PubkeyAuthentication yes
IgnoreRhosts yes
RhostsRSAAuthentication no
HostbasedAuthentication no
PermitEmptyPasswords no
ChallengeResponseAuthentication no
X11Forwarding yes
X11DisplayOffset 10
PrintMotd no
PrintLastLog yes
TCPKeepAlive yes
MaxStartups 20
"""

CONFIGS = {
    "debian": DEBIAN,
    "fedora": FEDORA,
    "hardened": HARDENED,
    "bastion": BASTION,
    "two-factors": TWO_FACTORS,
    "authority": AUTHORITY,
    "directory": DIRECTORY,
    "git": GIT,
    "cloud": CLOUD,
    "old": OLD,
}
