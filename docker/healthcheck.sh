#!/usr/bin/env bash
# Whether the server of this container takes requests: GET /readyz. That asks for
# no certificate and no token, and for no room beside the requests under way.
#
#   QLARANK_HTTP_ADDRESS  where listen.http_address can be reached, if the
#                         configuration has another: 127.0.0.1:8501
set -euo pipefail

address="${QLARANK_HTTP_ADDRESS:-127.0.0.1:8501}"
exec 3<> "/dev/tcp/${address%:*}/${address##*:}"
printf 'GET /readyz HTTP/1.1\r\nHost: %s\r\n\r\n' "$address" >&3
answer="$(cat <&3)"
echo "${answer##*$'\r\n\r\n'}"
[[ $answer == 'HTTP/1.1 200 '* ]]
