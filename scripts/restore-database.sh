#!/usr/bin/env bash
# Restores a database from a backup in S3: a thin door to `sexton backups restore`, which says what it does and why not.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: restore-database.sh [options] [-- options of `sexton backups restore`]

  -f, --backup-file FILE   the backup: its name, the beginning of it, one of its files, or `latest`
  -d, --database NAME      the database that has it in the end
  -m, --mode MODE          full (default), data-only or schema-only
  -b, --bucket BUCKET      the bucket (default: S3_BUCKET, else biopro-database-backups)
  -r, --region REGION      its region (default: AWS_REGION, else us-west-2)
  -c, --confirm            do it; without this, only say what would happen
      --list-backups       list the backups; so does no argument at all
  -h, --help               this text

Options may also be written --option=value, and in any order. Nothing is ever asked.

full          into a database that is not there: it is made. Into one that is there: the backup is restored beside it
              and compared; then it takes the name, and the old one is kept as NAME_replaced_... for seven days.
data-only     into tables that are there and empty, all in one transaction.
schema-only   into a database that is not there, or has no tables.

Environment: S3_BUCKET, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what else the AWS SDK reads;
PGHOST, PGPORT, PGUSER, PGPASSWORD or PGPASSFILE; S3_PREFIX (default database-backups); AWS_ENDPOINT_URL for another
service than AWS; SEXTON_IDENTITY, a file that opens sealed backups; SEXTON, the program.

Exit codes: 0 done (or only said), 1 it cannot be done, 2 wrong usage, 6 it failed and all is as it was, or what was
restored is not what was dumped and took no name.
TEXT
}

wrong() {
    printf 'error: %s\n  help: restore-database.sh --help\n' "$1" >&2
    exit 2
}

bucket=${S3_BUCKET:-biopro-database-backups}
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-us-west-2}}
prefix=${S3_PREFIX-database-backups}
backup='' database='' mode=full confirm='' list=''
[ $# -gt 0 ] || list=yes

while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
        --?*=*)
            set -- "${option#*=}" "$@"
            option=${option%%=*}
            case $option in
                --backup-file | --database | --mode | --bucket | --region) ;;
                *) wrong "$option takes no value, or is no option" ;;
            esac
            ;;
    esac
    case $option in
        -f | --backup-file | -d | --database | -m | --mode | -b | --bucket | -r | --region)
            [ $# -gt 0 ] || wrong "$option needs a value"
            value=$1
            shift
            ;;
    esac
    case $option in
        -f | --backup-file) backup=$value ;;
        -d | --database) database=$value ;;
        -m | --mode) mode=$value ;;
        -b | --bucket) bucket=$value ;;
        -r | --region) region=$value ;;
        -c | --confirm) confirm=yes ;;
        --list-backups) list=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        --) break ;;
        *) wrong "$option is no option" ;;
    esac
done

case $mode in
    full | data-only | schema-only) ;;
    *) wrong "--mode is full, data-only or schema-only, not $mode" ;;
esac

sexton=${SEXTON:-sexton}
if ! command -v "$sexton" >/dev/null 2>&1; then
    printf 'error: %s is not there\n  help: install it, or name it: SEXTON=/path/to/sexton\n' "$sexton" >&2
    exit 1
fi

from="s3://$bucket/$prefix?region=$region"
if [ -n "${AWS_ENDPOINT_URL:-}" ]; then
    from="$from&endpoint=$AWS_ENDPOINT_URL"
fi

if [ -n "$list" ]; then
    exec "$sexton" backups list --from "$from"
fi

[ -n "$backup" ] || wrong 'which backup? name it with --backup-file; --list-backups shows all'
[ -n "$database" ] || wrong 'into which database? name it with --database'

set -- --from "$from" --url 'postgres:///' --database "$database" --mode "$mode" "$@"
if [ "$mode" = full ]; then
    set -- "$@" --swap
fi
if [ -n "${SEXTON_IDENTITY:-}" ]; then
    set -- "$@" --identity "$SEXTON_IDENTITY"
fi
if [ -n "$confirm" ]; then
    set -- "$@" --confirm
fi
exec "$sexton" backups restore "$@" -- "$backup"
