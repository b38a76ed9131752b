# Debian's /etc/profile has just set PATH anew for this login shell. The image's programs come first again.
case :$PATH: in
*:/opt/lab/bin:*) ;;
*) PATH=/opt/lab/bin:$PATH:/opt/lab/added/bin:/home/notebook/.local/bin ;;
esac
export PATH
