# Source this file to work in the checkout: our virtual environment, ROS 2 and
# the built workspace. `make setup` makes everything that it names.
_topspark_root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$_topspark_root/.venv/bin/activate"
if [ -z "${ROS_DISTRO:-}" ]; then
  # ROS 2 from wheels lives in the virtual environment.
  export AMENT_PREFIX_PATH=$VIRTUAL_ENV
fi
# colcon writes this file; it prepends the packages to AMENT_PREFIX_PATH,
# PYTHONPATH, PATH and LD_LIBRARY_PATH.
[ -f "$_topspark_root/install/setup.bash" ] && source "$_topspark_root/install/local_setup.bash"
unset _topspark_root
