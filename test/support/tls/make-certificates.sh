#!/bin/sh
# Makes the certificates of this folder anew. Nothing but tests on loopback trusts them; the keys of the two authorities
# are thrown away, so nobody can sign more.
set -eu
cd "$(dirname "$0")"
DAYS=36500

authority() { # name, subject
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$DAYS" -subj "/CN=$2" \
    -addext 'basicConstraints=critical,CA:TRUE' -keyout "$1.key" -out "$1.crt"
}

signed() { # name, subject, authority, subjectAltName
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
  printf 'subjectAltName=%s\n' "$4" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$3.crt" -CAkey "$3.key" -days "$DAYS" -extfile "$1.ext" -out "$1.crt"
  rm "$1.csr" "$1.ext"
}

authority ca 'Leasehold test authority'
authority other-ca 'Leasehold other test authority'
signed server 'leasehold test server' ca 'DNS:localhost,IP:127.0.0.1'
signed client 'leasehold test client' ca 'DNS:client.test'
signed stranger 'leasehold test stranger' other-ca 'DNS:stranger.test'
rm -f ca.key other-ca.key ca.srl other-ca.srl
