"""ROS 2: its messages, and a bridge that maps topics both ways.

`robot` runs under the robot's own Python, where rclpy is, and knows no message: it hands over the
serialized bytes (CDR) of what it hears, and publishes those that it is given. Everything else is
here: `reading` and `writing` know the messages, `bridge` is the node.
"""
