#!/bin/sh
# Made these files, once: an authority, and what it signed for ten thousand days. They secure
# nothing but tests on 127.0.0.1.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"; }
key ca
openssl req -x509 -new -key "$work/ca.key" -days 10000 -subj "/CN=tests' authority" -out ca.pem \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -addext "subjectKeyIdentifier=hash"
signed() { # file, names, further options of openssl x509
    file=$1 names=$2
    shift 2
    key "$file"
    openssl req -new -key "$work/$file.key" -subj "/CN=$file" -out "$work/$file.csr"
    printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" \
        "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" "subjectAltName=$names" \
        >"$work/$file.ext"
    openssl x509 -req -in "$work/$file.csr" -CA ca.pem -CAkey "$work/ca.key" \
        -extfile "$work/$file.ext" -out "$work/$file.crt" "$@" 2>/dev/null
    cat "$work/$file.key" "$work/$file.crt" >"$file.pem"
}
signed server "DNS:localhost,IP:127.0.0.1" -days 10000
signed elsewhere "DNS:elsewhere.test" -days 10000
signed client "DNS:client.test" -days 10000
signed expired "DNS:localhost,IP:127.0.0.1" -days 0
