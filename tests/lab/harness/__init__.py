"""What the lab is made of: namespaces, processes, Calico nodes, pods, Sluice, and checks on them."""
